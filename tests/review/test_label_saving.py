"""What was acknowledged is there, and nothing is merged silently."""

from __future__ import annotations

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
from reviewed_results import CASE, TABLE, edited, make_results, save
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.engine import journal
from medseg.errors import GeometryMismatch, InputError, Interrupted, UsageError
from medseg.evaluation.files.label_files import find_labels
from medseg.io.discover import discover
from medseg.io.files.case_id import safe
from medseg.io.formats import Labeled, write
from medseg.review.events import EventLog
from medseg.review.opening import open_store
from medseg.review.revisions import RevisionConflict
from medseg.review.store import Store
from medseg.types import Geometry, LabelMap
from medseg.types.run import CaseOutcome


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


@settings(max_examples=15)
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


def test_saves_of_many_threads_and_processes_are_one_chain(out: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from medseg.review.opening import open_store\n"
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
