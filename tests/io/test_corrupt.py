"""What should have been a scan is named like one, and never by what may be a patient's name."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from medseg.io.corrupt import with_case_ids
from medseg.io.discover import discover
from medseg.types.scan import Skipped


def names(folder: Path) -> dict[str, tuple[str, str]]:
    return {left.path.name: (left.case_id, left.source) for left in discover([folder]).skipped}


def test_a_file_is_named_after_itself_and_a_dicom_file_by_its_content(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "scan.nii.gz")
    (tmp_path / "scan.nrrd").write_bytes(b"")
    (tmp_path / "other.mha").write_bytes(b"")
    (tmp_path / "doe^jane.dcm").write_bytes(b"no DICOM")
    (tmp_path / "DOE_JOHN").write_bytes(bytes(128) + b"DICM" + b"half")
    (tmp_path / "notes.txt").write_text("text")
    found = names(tmp_path)
    assert [scan.case_id for scan in discover([tmp_path]).found] == ["scan"]
    assert found["other.mha"] == ("other", "other.mha")
    assert found["scan.nrrd"][0].startswith("scan-")
    for name in ("doe^jane.dcm", "DOE_JOHN"):
        case_id, source = found[name]
        assert case_id.startswith("dicom-")
        assert source == "DICOM file"
    assert found["notes.txt"] == ("", "notes.txt")
    (tmp_path / "doe^jane.dcm").rename(tmp_path / "renamed.dcm")
    assert names(tmp_path)["renamed.dcm"] == found["doe^jane.dcm"]


def test_what_cannot_be_opened_may_be_dicom(tmp_path: Path) -> None:
    (tmp_path / "DOE_JANE").symlink_to(tmp_path / "nowhere")
    case_id, source = names(tmp_path)["DOE_JANE"]
    assert case_id.startswith("dicom-")
    assert source == "unreadable file or folder"


def test_equal_files_have_ids_of_their_own_and_none_that_is_taken(tmp_path: Path) -> None:
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm", tmp_path / "case.nii"]
    for path in paths:
        path.write_bytes(b"")
    left = [Skipped(path, "it is empty", corrupt=True) for path in paths]
    ids = [one.case_id for one in with_case_ids(left, ["CASE"], [])]
    assert len({*ids, "case"}) == 4
    assert ids == [one.case_id for one in with_case_ids(left[::-1], ["CASE"], [])][::-1]
