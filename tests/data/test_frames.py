"""Cases that are frames of 4-D files."""

import numpy as np
import pytest
from public_layouts import SHAPE, labels, mnms, nifti, scan

from medseg.data.describe import write_description
from medseg.data.frames import labeled_frames
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import InputError


def test_each_labeled_frame_is_a_case_of_its_patient_and_read_again_from_its_description(tmp_path):
    mnms(tmp_path)
    data = read_dataset(tmp_path)
    image, reference = read_case(data, data.labeled[1])
    assert data.labeled[1].case_id == "A0S9V9_sa_frame04"
    assert np.array_equal(image.array[0], scan(3))
    assert np.array_equal(reference.array == 1, (labels(3) == 1) & (np.arange(SHAPE[0]) < 6)[:, None, None])
    write_description(data, tmp_path / "dataset.yaml")
    again = read_dataset(tmp_path)
    assert again.layout == "table"
    assert [(case.case_id, case.frame, case.group) for case in again.cases] == [
        (case.case_id, case.frame, case.group) for case in data.cases
    ]


def test_masks_of_classes_one_a_volume_are_no_frames(tmp_path):
    nifti(tmp_path / "image.nii.gz", np.stack([scan(k) for k in range(3)], -1))
    nifti(tmp_path / "masks.nii.gz", np.stack([labels(k) for k in range(3)], -1))
    assert labeled_frames(tmp_path / "image.nii.gz", tmp_path / "masks.nii.gz") == ()


def test_a_frame_that_is_not_there_is_named(tmp_path):
    mnms(tmp_path)
    rows = ["case,image,label,cine_frame"]
    for name in ("A0S9V9", "A1D0Q7"):
        rows.append(f"{name},Training/Labeled/{name}/{name}_sa.nii.gz,Training/Labeled/{name}/{name}_sa_gt.nii.gz,4")
    rows.append(rows[-1].replace("A1D0Q7,", "wrong,", 1).removesuffix("4") + "7")
    (tmp_path / "d.csv").write_text("\n".join(rows) + "\n")
    data = read_dataset(tmp_path / "d.csv")
    with pytest.raises(InputError, match="it has 6 frames, and no number 7"):
        read_case(data, next(case for case in data.cases if case.case_id == "wrong"))
