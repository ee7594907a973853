"""The scan of a case is found by its content, wherever it is and whatever its name."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from reviewed_results import CASE

from medseg.engine import journal
from medseg.engine.run_files import remember_inputs, write_source_table
from medseg.errors import InputError, UsageError
from medseg.review.opening import open_store
from medseg.review.scan_finder import ScanFinder
from medseg.types import FoundScan


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
