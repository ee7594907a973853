"""The store of a review: what was acknowledged is there, what was changed is found, nothing is merged silently."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reviewed_results import TABLE, edited, make_case, make_results
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.engine import journal
from medseg.engine.run_files import remember_inputs, write_source_table
from medseg.errors import GeometryMismatch, InputError, Interrupted, UsageError
from medseg.evaluation.files.label_files import find_labels
from medseg.io.discover import discover
from medseg.io.files.case_id import safe
from medseg.io.files.file_system import Mount, is_local
from medseg.io.formats import Labeled, write
from medseg.review.events import EventLog
from medseg.review.readings import verdict_of
from medseg.review.review_case import REASONS, UNAIDED, Revision, RevisionConflict
from medseg.review.sample import draw_sample, error_rate
from medseg.review.scan_finder import ScanFinder
from medseg.review.store import Store, open_store
from medseg.types import FoundScan, Geometry, LabelMap
from medseg.types.run import CaseOutcome

CASE = "scan_0"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_results(tmp_path)


@pytest.fixture
def store(out: Path):
    with open_store(out, create=True) as opened:
        yield opened


def save(store: Store, value: int = 300, *, expected: int = 0, voxel=(0, 0, 1), who: str = "Ada", **more):
    labels = edited(store.labels(CASE, reader=more.get("reader")), voxel, value)
    return store.save_labels(CASE, labels, who=who, expected=expected, origin="test", **more)


def test_a_case_says_in_one_short_line_what_it_is(store: Store) -> None:
    save(store)
    case = store.case(CASE)
    assert repr(case) == f"ReviewCase('{CASE}', {case.state}, revision=1, warnings={len(case.warnings)})"
    assert repr(case.newest).startswith(f"Revision('{CASE}', 1, who='Ada'")


def test_a_review_begins_only_where_it_is_asked_to(out: Path) -> None:
    with pytest.raises(UsageError, match="nothing was reviewed there yet"):
        open_store(out)
    assert not (out / "review").exists()
    with pytest.raises(UsageError, match="there is no such folder"):
        open_store(out / "nowhere", create=True)
    with open_store(out, create=True) as store:
        assert store.cases() == ("scan_0", "scan_1")
        assert {store.case(case).state for case in store.cases()} == {"open"}
    assert stat.S_IMODE((out / "review/review.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE((out / "review").stat().st_mode) == 0o700


def test_saved_labels_come_back_voxel_by_voxel_with_the_affine_of_the_scan_and_the_names(store: Store, out) -> None:
    revision = save(store, 65535)
    assert (revision.number, revision.base, revision.who, revision.changed_voxels) == (1, 0, "Ada", 1)
    assert revision.dice_with_model["liver"] == 1
    assert revision.dice_with_model["cyst"] == pytest.approx(2 / 3)
    read = store.labels(CASE)
    assert read.table == TABLE
    assert read.array[0, 0, 1] == 65535
    file, scan = nib.load(revision.file), nib.load(out.parent / "scans" / f"{CASE}.nii.gz")
    assert np.array_equal(file.affine, scan.affine)
    assert file.header["sform_code"] == scan.header["sform_code"]
    assert np.array_equal(np.asanyarray(file.dataobj), read.array)
    model = store.labels(CASE, 0)
    assert model.array[0, 0, 1] == 0
    assert revision.volume_ml["cyst"] == pytest.approx(2 * model.geometry.voxel_volume / 1000)
    assert revision.file.parent == out / "review/labels"
    assert revision.file.name.startswith(f"{CASE}.r0001.{revision.sha256[:12]}")
    assert store.case(CASE).is_corrected


STROKES = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 10), st.integers(0, 6), st.sampled_from([0, 1, 300, 65535]))
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 10), st.integers(0, 6), st.sampled_from([0, 1, 300, 65535])))
)
def test_the_difference_counts_what_changed(tmp_path_factory, strokes) -> None:
    out = make_results(tmp_path_factory.mktemp("results"), 1)
    with open_store(out, create=True) as store:
        model = store.labels(CASE)
        array = model.array.copy()
        for i, j, k, value in strokes:
            array[i, j, k] = value
        labels = LabelMap(array, model.geometry, model.table)
        revision = store.save_labels(CASE, labels, who="Ada", expected=0, origin="test")
        assert revision.changed_voxels == int((array != model.array).sum())
        for entry in TABLE:
            a, b = array == entry.value, model.array == entry.value
            expected = 2 * (a & b).sum() / (a.sum() + b.sum()) if a.any() or b.any() else None
            assert revision.dice_with_model[entry.name] == pytest.approx(expected)


def test_a_save_over_an_old_revision_is_refused_and_leaves_no_file(store: Store, out: Path) -> None:
    save(store)
    with pytest.raises(RevisionConflict, match="revision 1 of the labels is the newest, not 0"):
        save(store, expected=0, voxel=(1, 1, 1))
    assert len(list((out / "review/labels").iterdir())) == 1
    assert save(store, expected=1, voxel=(1, 1, 1)).number == 2


def test_labels_of_another_grid_or_with_a_foreign_value_are_refused(store: Store) -> None:
    labels = store.labels(CASE)
    moved = LabelMap(labels.array, Geometry(labels.geometry.affine + np.eye(4) * 0.5 * [1, 1, 1, 0], (9, 11, 7)), TABLE)
    with pytest.raises(GeometryMismatch, match="do not match"):
        store.save_labels(CASE, moved, who="Ada", expected=0, origin="test")
    with pytest.raises(InputError, match="hold the value 7, which no class has"):
        save(store, 7)
    with pytest.raises(UsageError, match="no labels of a model"):
        store.save_labels("../scan_0", labels, who="Ada", expected=0, origin="test")
    for name in ("", "a\nb", "x" * 65):
        with pytest.raises(UsageError, match="cannot be a reader's name"):
            save(store, who=name)
    assert store.events() == ()


def test_a_verdict_names_the_newest_revision(store: Store) -> None:
    store.verdict(CASE, kind="accept", revision=0, who="Ada")
    case = store.case(CASE)
    assert case.state == "accepted"
    assert case.verdict.labels_sha256 == case.model_sha256
    revision = save(store)
    with pytest.raises(RevisionConflict):
        store.verdict(CASE, kind="accept", revision=0, who="Ada")
    store.verdict(CASE, kind="reject", revision=1, who="Ada", reason="boundary", comment="tail cut off")
    case = store.case(CASE)
    assert (case.state, case.verdict.reason, case.verdict.comment) == ("rejected", "boundary", "tail cut off")
    assert case.verdict.labels_sha256 == revision.sha256
    store.verdict(CASE, kind="take_back", revision=1, who="Ada")
    assert store.case(CASE).state == "open"
    assert store.case(CASE).verdict is None
    with pytest.raises(UsageError, match="no verdict to take back"):
        store.verdict(CASE, kind="take_back", revision=1, who="Ada")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "reject"}, "a rejection needs a reason"),
        ({"kind": "reject", "reason": "ugly"}, "'ugly' is no reason"),
        ({"kind": "accept", "reason": "boundary"}, "only a rejection has a reason"),
        ({"kind": "maybe"}, "'maybe' is no verdict"),
        ({"kind": "accept", "comment": "x" * 2001}, "the comment has 2001 letters"),
    ],
)
def test_a_verdict_that_is_none_is_refused(store: Store, asked, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        store.verdict(CASE, revision=0, who="Ada", **asked)
    assert not store.events()
    assert "other" in REASONS


def test_another_models_labels_open_a_judged_case_again_and_keep_the_old_verdict(store: Store, out: Path) -> None:
    save(store)
    store.verdict(CASE, kind="accept", revision=1, who="Ada")
    before = store.case(CASE)
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz")  # the same labels again
    assert store.case(CASE).state == "accepted"
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz", seed=3)
    after = store.case(CASE)
    assert after.state == "open, model changed"
    assert after.verdict == before.verdict
    assert after.verdict.model_sha256 == before.model_sha256 != after.model_sha256
    assert np.array_equal(store.labels(CASE).array, edited(store.labels(CASE, 1), (0, 0, 1), 300).array)
    store.verdict(CASE, kind="accept", revision=1, who="Ada")
    assert store.case(CASE).state == "accepted"


def predict_again(out: Path, seed: int) -> None:
    make_case(out, CASE, out.parent / "scans" / f"{CASE}.nii.gz", seed=seed)


def test_what_nobody_corrected_gives_way_to_the_present_models_labels(store: Store, out: Path) -> None:
    save(store)
    draw(store, store.labels(CASE, 0), who="Ada", expected=1)  # every stroke undone
    store.verdict(CASE, kind="accept", revision=2, who="Ada")
    old = store.labels(CASE)
    predict_again(out, 3)
    case = store.case(CASE)
    assert (case.state, case.revision, case.is_corrected) == ("open, model changed", 0, False)
    assert np.array_equal(store.labels(CASE).array, store.model_labels(CASE).array)
    assert np.array_equal(store.labels(CASE, 2).array, old.array)
    with pytest.raises(RevisionConflict, match="the model's labels changed"):
        save(store, expected=2)
    assert save(store, expected=0, voxel=(1, 1, 1)).number == 3
    predict_again(out, 0)  # the first model again
    assert store.case(CASE).revision == 3


def test_what_a_person_corrected_stays_and_is_compared_with_the_present_model(store: Store, out: Path) -> None:
    save(store, 65535, voxel=np.unravel_index(3, (9, 11, 7)))
    model = store.labels(CASE)
    draw(store, edited(store.labels(CASE), (0, 0, 0), 0), who="Ada", expected=1)
    assert not store.case(CASE).is_of_earlier_model
    predict_again(out, 5)
    case = store.case(CASE)
    assert (case.revision, case.is_corrected, case.is_of_earlier_model) == (2, True, True)
    assert [one.number for one in store.corrections()] == [2]
    predict_again(out, 3)  # finds by itself what was corrected
    case = store.case(CASE)
    assert np.array_equal(store.labels(CASE).array, store.model_labels(CASE).array)
    assert (case.revision, case.is_corrected, case.is_of_earlier_model) == (2, False, True)
    assert store.corrections() == ()
    draw(store, model, who="Ada", expected=2)
    assert store.case(CASE).is_corrected


def test_labels_drawn_unaided_stay_whatever_the_model_makes(store: Store, out: Path) -> None:
    store.save_labels(CASE, store.labels(CASE), who="Ada", expected=0, origin=UNAIDED, reader="Ada")
    predict_again(out, 3)
    case = store.case(CASE, "Ada")
    assert (case.revision, case.is_of_earlier_model) == (1, False)


def test_an_earlier_correction_counts_as_an_error_of_the_new_model_only_where_it_differs(store, out: Path) -> None:
    save(store, 65535, voxel=np.unravel_index(3, (9, 11, 7)))
    draw(store, edited(store.labels(CASE), (0, 0, 0), 0), who="Ada", expected=1)
    sample = draw_sample(store, 2, "Ada")
    for seed, wrong in ((5, 1), (3, 0)):
        predict_again(out, seed)
        store.verdict(CASE, kind="accept", revision=2, who="Ada")
        cases = store.all_cases()
        assert (error_rate(sample, cases).wrong, verdict_of(cases[CASE])) == (wrong, ("accepted", "corrected")[wrong])


def draw(store: Store, labels: LabelMap, **how) -> Revision:
    return store.save_labels(CASE, labels, origin="test", **how)


def test_labels_drawn_over_judged_ones_are_not_judged(store: Store) -> None:
    first = save(store)
    store.verdict(CASE, kind="accept", revision=1, who="Ada")
    other = edited(store.labels(CASE), (0, 0, 2), 300)
    draw(store, other, who="Bo", expected=1)
    after = store.case(CASE)
    assert (after.state, after.is_judged, after.verdict.revision, after.revision) == (
        "open, labels changed",
        False,
        1,
        2,
    )
    # Undone and saved again: they are the labels that were judged.
    again = draw(store, store.labels(CASE, 1), who="Bo", expected=2)
    assert again.sha256 == first.sha256
    assert store.case(CASE).state == "accepted"
    draw(store, other, who="Bo", expected=3)
    store.verdict(CASE, kind="accept", revision=4, who="Bo")
    assert store.case(CASE).state == "accepted"


def test_labels_drawn_over_the_models_after_these_were_accepted_are_not_judged(store: Store) -> None:
    store.verdict(CASE, kind="accept", revision=0, who="Ada")
    draw(store, store.labels(CASE), who="Ada", expected=0)  # nothing was drawn
    assert store.case(CASE).state == "accepted"
    draw(store, edited(store.labels(CASE), (0, 0, 1), 300), who="Ada", expected=1)
    assert store.case(CASE).state == store.all_cases()[CASE].state == "open, labels changed"


def test_a_blinded_readers_work_beside_judged_labels_leaves_their_verdict(store: Store) -> None:
    model = store.labels(CASE)
    draw(store, edited(model, (0, 0, 1), 300), who="Ada", expected=0, reader="Ada")
    draw(store, edited(model, (0, 0, 2), 300), who="Bo", expected=0, reader="Bo")
    store.verdict(CASE, kind="accept", revision=1, who="Ada", reader="Ada")
    draw(store, edited(model, (0, 0, 3), 300), who="Bo", expected=2, reader="Bo")
    assert store.case(CASE, "Ada").state == store.case(CASE).state == "accepted"


def test_a_reviewed_case_whose_results_are_gone_is_still_listed(store: Store, out: Path) -> None:
    revision = save(store)
    shutil.rmtree(out / CASE)
    assert store.cases() == ("scan_0", "scan_1")
    case = store.case(CASE)
    assert case.model_labels_path is None
    assert case.revisions == (revision,)
    assert store.labels(CASE).array[0, 0, 1] == 300
    assert set(store.all_cases()) == {"scan_0", "scan_1"}


def test_blinded_readers_see_their_own_revisions_only(store: Store) -> None:
    first = save(store, who="A", reader="A")
    second = save(store, 1, who="B", reader="B")
    third = save(store, 1, who="A", reader="A", expected=first.number, voxel=(2, 2, 6))
    assert (first.number, second.number, third.number) == (1, 2, 3)
    assert store.labels(CASE, reader="A").array[0, 0, 1] == 300
    assert store.labels(CASE, reader="B").array[0, 0, 1] == 1
    store.verdict(CASE, kind="reject", revision=2, who="B", reason="missed", reader="B")
    assert store.case(CASE, reader="A").state == "open"
    assert store.case(CASE, reader="B").state == "rejected"
    assert [one.number for one in store.case(CASE).revisions] == [1, 2, 3]
    with pytest.raises(UsageError, match="there is no revision 2"):
        store.labels(CASE, 2, reader="A")


def test_ids_of_objects_are_saved_with_their_labels(store: Store) -> None:
    labels = store.labels(CASE)
    ids = np.zeros(labels.array.shape, np.int32)
    ids[5, 5, 5] = 70000
    revision = store.save_labels(CASE, labels, who="Ada", expected=0, origin="test", instances=ids)
    assert np.array_equal(np.asanyarray(nib.load(revision.instances_file).dataobj), ids)
    said = store.events(CASE)[-1].body
    assert (said["n_objects"], said["n_model_objects"], said["changed_voxels"]) == (1, None, 0)
    assert store.verify() == ()
    revision.instances_file.write_bytes(b"other")
    assert "changed since they were saved" in store.verify()[0].what


def test_verify_finds_a_changed_byte_a_lost_file_and_a_file_nobody_saved(store: Store, out: Path) -> None:
    revisions = [save(store, expected=n, voxel=(n, n, n)) for n in range(3)]
    assert store.verify() == ()
    data = bytearray(revisions[0].file.read_bytes())
    data[-9] ^= 1
    revisions[0].file.write_bytes(data)
    revisions[1].file.unlink()
    (out / "review/labels/extra.nii.gz").write_bytes(b"")
    found = [str(finding) for finding in store.verify()]
    assert len(found) == 3
    assert "event 1" in found[0]
    assert "changed since" in found[0]
    assert "event 2" in found[1]
    assert "gone" in found[1]
    assert "labels/extra.nii.gz" in found[2]
    with pytest.raises(InputError, match="changed since they were saved"):
        store.labels(CASE, 1)


CHANGES = [
    "update events set who='Eve' where n=2",
    "update events set body=replace(body, '\"boundary\"', '\"other\"') where n=2",
    "delete from events where n=2",
    "delete from events where n=3",  # the last one, which no later event holds the hash of
    "update events set t='2020-01-01T00:00:00.000+00:00' where n=3",
    "update events set prev='0' where n=1",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_trail_is_refused_and_verify_says_where(out: Path, change: str) -> None:
    with open_store(out, create=True) as store:
        save(store)
        store.verdict(CASE, kind="reject", revision=1, who="Ada", reason="boundary")
        store.verdict(CASE, kind="take_back", revision=1, who="Ada")
    database = sqlite3.connect(out / "review/review.sqlite")
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(InputError, match=r"the audit trail was changed: event [123]"):
        open_store(out)
    with open_store(out, check=False) as store:
        assert "event" in store.verify()[0].where
        assert store.case(CASE).revisions[0].file.is_file()


def test_a_damaged_database_is_said_so_in_one_line(out: Path) -> None:
    (out / "review").mkdir()
    (out / "review/review.sqlite").write_bytes(b"not SQLite" * 100)
    with pytest.raises(InputError, match="the audit trail is damaged"):
        open_store(out)


def left_by_a_killed_save(labels: Path, revision: int = 2) -> Path:
    content = b"whole, and no event is about it"
    left = labels / f"{CASE}.r{revision:04d}.{hashlib.sha256(content).hexdigest()[:12]}.nii.gz"
    left.write_bytes(content)
    return left


def test_what_a_killed_process_left_half_written_is_deleted_and_whole_labels_are_set_aside(out: Path, caplog) -> None:
    labels = out / "review/labels"
    with open_store(out, create=True) as store:
        saved = save(store).file
        (labels / ".medseg-part-1.nii.gz").write_bytes(b"half")
        (labels / ".new-1.nii.gz").write_bytes(b"whole, without a name")
        left = left_by_a_killed_save(labels)
        with open_store(out):  # the first is at work, so that these may be its own
            assert len(list(labels.iterdir())) == 4
    with open_store(out):
        assert list(labels.iterdir()) == [saved]
        assert [path.name for path in (out / "review/unrecorded").iterdir()] == [left.name]
        assert f"{left.name}: no event names these labels; they were moved to review/unrecorded" in caplog.text


@pytest.mark.parametrize("change", [Path.unlink, lambda database: database.write_bytes(b"")])
@pytest.mark.parametrize("create", [True, False])
def test_saved_labels_outlive_the_loss_of_their_trail(out: Path, change, create: bool) -> None:
    with open_store(out, create=True) as store:
        saved = save(store).file
    change(out / "review/review.sqlite")
    for check in (True, False):
        with pytest.raises(InputError, match=r"labels that people saved are there, and the audit trail .* is gone or"):
            open_store(out, create=create, check=check)
    assert saved.is_file()


def test_labels_saved_after_an_older_trail_that_was_restored_are_kept_and_found(out: Path) -> None:
    database, backup = out / "review/review.sqlite", out / "backup.sqlite"
    with open_store(out, create=True) as store:
        save(store)
    shutil.copy(database, backup)
    with open_store(out) as store:
        later = [save(store, expected=number, voxel=(number, 0, 1)).file for number in (1, 2)]
    shutil.copy(backup, database)
    with open_store(out, check=False) as store:  # as `verify` does, which changes nothing
        assert [finding.where for finding in store.verify()] == [f"labels/{later[1].name}"]
        assert all(file.is_file() for file in later)
    with open_store(out):
        assert not later[0].exists()
        assert (out / "review/unrecorded" / later[0].name).is_file()
        assert later[1].is_file()


def test_a_file_that_somebody_put_among_the_labels_stays_and_is_found(out: Path) -> None:
    with open_store(out, create=True) as store:
        mine = store.folder / "labels/mine.nii.gz"
        shutil.copy(save(store).file, mine)
    with open_store(out) as store:
        assert [finding.where for finding in store.verify()] == ["labels/mine.nii.gz"]
        assert mine.is_file()


def test_what_a_killed_save_left_beside_others_at_work_is_no_change_and_goes_in_time(out: Path) -> None:
    labels = out / "review/labels"
    with open_store(out, create=True) as store:
        saved = save(store).file
        left = left_by_a_killed_save(labels)
        ids = left.with_name(left.name.replace(".nii.gz", ".instances.nii.gz"))
        ids.write_bytes(b"ids")
        with open_store(out) as second:
            assert second.verify() == ()
            assert set(second.leftovers()) == {f"labels/{left.name}", f"labels/{ids.name}"}
            beside = saved.with_name(saved.name.replace(".nii.gz", ".instances.nii.gz"))
            beside.write_bytes(b"ids of a revision that has none")
            forged = labels / f"scan_0.r0003.{'0' * 12}.nii.gz"
            forged.write_bytes(left.read_bytes())
            assert [finding.where for finding in second.verify()] == [f"labels/{beside.name}", f"labels/{forged.name}"]
        os.utime(left, (0, 0))
        with open_store(out):  # though the first is at work
            assert not left.exists()
            assert ids.exists()
            assert saved.exists()


def test_a_trail_that_another_process_writes_to_is_not_called_changed(tmp_path: Path, monkeypatch) -> None:
    trail, other = (EventLog(tmp_path / "events.sqlite", write_ahead=True) for _ in range(2))
    rows = trail.rows

    def read_while_written(query: str) -> list:
        other.append("Ada", CASE, "opened", {})
        return rows(query)

    other.append("Ada", CASE, "opened", {})
    monkeypatch.setattr(trail, "rows", read_while_written)
    assert trail.broken_at() is None
    monkeypatch.undo()
    assert trail.head[0] == 3


def test_saves_of_many_threads_and_processes_are_one_chain(out: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from medseg.review.store import open_store\n"
        "store = open_store(Path(sys.argv[1]))\n"
        "for n in range(4): store.record(sys.argv[2], 'opened', {'n': n}, 'scan_1')\n"
    )
    with open_store(out, create=True) as store:
        others = [subprocess.Popen([sys.executable, "-c", program, str(out), f"process {i}"]) for i in range(2)]
        codes = []

        def work(number: int) -> None:
            for _ in range(4):
                try:
                    codes.append(save(store, expected=len(store.case(CASE).revisions), who=f"thread {number}").number)
                except RevisionConflict:
                    codes.append(None)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for one in threads:
            one.join()
        assert [process.wait() for process in others] == [0, 0]
        numbers = [number for number in codes if number is not None]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        assert store.verify() == ()
        assert len(store.events()) == len(numbers) + 8


def test_the_scan_is_found_by_its_content(out: Path, tmp_path: Path) -> None:
    with open_store(out, create=True) as store:
        assert store.scan(CASE).files == (tmp_path / "scans" / f"{CASE}.nii.gz",)
    (tmp_path / "scans").rename(tmp_path / "moved")
    (tmp_path / "moved" / f"{CASE}.nii.gz").rename(tmp_path / "moved" / "called otherwise.nii.gz")
    with open_store(out) as store, pytest.raises(InputError, match="its scan was not found"):
        store.scan(CASE)
    with open_store(out, scans=[tmp_path / "moved"]) as store:
        assert store.scan(CASE).files[0].name == "called otherwise.nii.gz"
    with pytest.raises(UsageError, match="no such file or folder"):
        open_store(out, scans=[tmp_path / "nowhere"])


@pytest.mark.parametrize("layout", ["folder", "flat"])
def test_scans_of_several_channels_are_found_by_what_they_hold_together(tmp_path: Path, layout: str) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    names = {"folder": "case_7/{}.nii.gz", "flat": "case_7_{}.nii.gz"}[layout]
    paths = [scans / names.format(channel) for channel in ("t1", "flair", "other")]
    paths[0].parent.mkdir(parents=True)
    for number, path in enumerate(paths):
        nib.save(nib.Nifti1Image(np.full((3, 4, 5), number, np.int16), np.eye(4)), path)
    for number in range(12):  # of other patients, beside it
        nib.save(nib.Nifti1Image(np.full((3, 4, 5), 50 + number, np.int16), np.eye(4)), scans / f"p{number}.nii.gz")
    channels = tuple(FoundScan("", "nifti", (path,)) for path in (paths[1], paths[0]))  # FLAIR is the first channel
    digest = journal.hash_case(FoundScan("case_7", "nifti", tuple(paths[:2]), channels=channels))
    out.mkdir()
    common = {"folder": "case_7", "flat": "."}[layout]
    (out / "sources.csv").write_text(
        f"case_id,state,series_uid,study_uid,path,input_sha256\ncase_7,done,,,{common},{digest}\n"
    )
    finder = ScanFinder(out, [scans])
    for _ in range(2):
        assert [found.files for found in finder.find("case_7", digest)] == [(paths[1],), (paths[0],)]
    nib.save(nib.Nifti1Image(np.full((3, 4, 5), 9, np.int16), np.eye(4)), paths[0])  # the other channel
    with pytest.raises(InputError, match="its bytes are not those"):
        finder.find("case_7", digest)


def test_scans_that_arrive_while_the_finder_is_open_are_found(tmp_path: Path) -> None:
    incoming, out = tmp_path / "incoming", tmp_path / "results"
    for folder in (incoming, out):
        folder.mkdir()
    remember_inputs(out, [incoming])
    finder = ScanFinder(out)
    rows: list[tuple[str, ...]] = []
    for number in range(4):
        path = incoming / f"s{number}" / "scan.nii.gz"
        path.parent.mkdir()
        nib.save(nib.Nifti1Image(np.full((3, 4, 5), number, np.int16), np.eye(4)), path)
        digest = journal.hash_files([path])
        rows.append((f"mr-{number}", "done", f"1.2.{number}", f"1.{number}", path.parent.name, digest))
        if number == 3:  # its row is written a moment after its result
            with pytest.raises(InputError, match="its scan was not found"):
                finder.find("mr-3", "0" * 64)
        write_source_table(out, rows)
        assert [found.files for found in finder.find(f"mr-{number}", digest)] == [(path,)]
        assert not finder.is_missing(f"mr-{number}")


def test_a_scan_of_another_name_is_missing_no_more_once_it_was_opened(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "scans" / f"{CASE}.nii.gz"
    path.rename(path.with_name("other.nii.gz"))
    with open_store(out, create=True) as store:
        store.finder.is_missing(CASE)
        store.finder.wait()
        assert store.finder.is_missing(CASE)  # by its name
        assert store.scan(CASE).files == (path.with_name("other.nii.gz"),)
        assert not store.finder.is_missing(CASE)


def test_a_scan_whose_bytes_differ_is_refused_by_name(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "scans" / f"{CASE}.nii.gz"
    with open_store(out, create=True) as store:
        assert store.scan(CASE).files == (path,)
        shutil.copy(tmp_path / "scans/scan_1.nii.gz", path)
        with pytest.raises(InputError, match=f"{CASE}: the scan is there, and its bytes are not those"):
            store.scan(CASE)


def test_what_a_review_saves_is_no_scan(store: Store, out: Path) -> None:
    save(store)
    found = discover([out])
    assert found.found == ()
    assert sum(left.reason == "it is a result of medseg" for left in found.skipped) >= 3


def test_what_a_review_saves_is_no_prediction(store: Store, out: Path) -> None:
    save(store)
    assert {item.case_id for item in find_labels(out)} == {"scan_0", "scan_1"}
    assert safe("review") == "case_review"


@pytest.mark.parametrize("format", ["nrrd", "mha", "dicom-seg"])
def test_labels_of_any_format_are_reviewed_on_the_grid_of_the_scan(tmp_path: Path, format: str) -> None:
    source, geometry = small_series(tmp_path / "scans")
    labels = some_labels(geometry)
    out = tmp_path / "out"
    (out / "mr-1").mkdir(parents=True)
    write(format, Labeled(labels, source, MODEL), out / "mr-1")
    digest = journal.hash_files(source.files)
    journal.finish(out / "mr-1", "key", digest, CaseOutcome("mr-1", "done", "MR", out / "mr-1"))
    with open_store(out, create=True, scans=[tmp_path / "scans"]) as store:
        read = store.labels("mr-1")
        assert read.geometry.matches(geometry)
        assert np.array_equal(read.array, labels.array)
        assert {c.name for c in labels.table} == {c.name for c in read.table}
        saved = store.save_labels("mr-1", edited(read, (1, 1, 1), 2), who="Ada", expected=0, origin="test")
        assert Geometry(nib.load(saved.file).affine, geometry.shape).matches(geometry)
        assert store.labels("mr-1").array[1, 1, 1] == 2


def test_a_write_ahead_log_is_kept_on_local_disks_only(store: Store, tmp_path: Path) -> None:
    kinds = {"/": "ext4", "/mnt/pacs": "nfs4", "/mnt/pacs/local": "xfs", "/mnt/share": "cifs", "/home/me": "fuse.sshfs"}
    mounted = [Mount(place, kind) for place, kind in kinds.items()]
    assert is_local(Path("/data"), mounted)
    assert is_local(Path("/mnt/pacs/local/results"), mounted)
    assert not is_local(Path("/mnt/pacs/results"), mounted)
    assert not is_local(Path("/mnt/share"), mounted)
    assert not is_local(Path("/home/me/results"), mounted)
    assert not is_local(Path("/data"), [])
    mode = store.log.rows("pragma journal_mode")[0][0]
    assert mode == ("wal" if is_local(tmp_path) else "delete")
    assert store.log.rows("pragma synchronous")[0][0] == 2


def test_on_a_network_only_what_is_old_is_tidied(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.review.case_store.is_local", lambda folder: False)
    open_store(out, create=True).close()
    fresh, old = (out / f"review/labels/.new-{n}.nii.gz" for n in (1, 2))
    fresh.write_bytes(b"maybe another machine's")
    old.write_bytes(b"nobody's")
    whole = left_by_a_killed_save(out / "review/labels", revision=1)
    os.utime(old, (0, 0))
    with open_store(out, check=False):  # as `verify` does, which changes nothing
        assert old.exists()
    open_store(out).close()
    assert fresh.exists()
    assert whole.exists()
    assert not old.exists()


def test_a_signal_after_the_commit_keeps_the_files(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = EventLog.transaction

    @contextmanager
    def interrupted(log):
        with committed(log) as database:
            yield database
        raise Interrupted("SIGTERM")

    monkeypatch.setattr(EventLog, "transaction", interrupted)
    with pytest.raises(Interrupted):
        save(store)
    monkeypatch.undo()
    assert store.case(CASE).revision == 1
    assert store.verify() == ()
    assert store.labels(CASE).array[0, 0, 1] == 300


def test_a_rollback_journal_serves_as_well(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.review.case_store.is_local", lambda folder: False)
    with open_store(out, create=True) as store:
        assert store.log.rows("pragma journal_mode")[0][0] == "delete"
        save(store)
    assert not (out / "review/review.sqlite-wal").exists()
    with open_store(out) as store:
        assert store.case(CASE).revision == 1
