"""What a killed process left in a store goes, and nobody's labels with it."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from reviewed_results import CASE, save

from medseg.review.opening import open_store


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
