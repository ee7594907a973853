"""Folders that are called after what is drawn in them."""

import numpy as np
import pytest
from public_layouts import nifti, scan

from medseg.data.class_folders import is_anatomy
from medseg.data.layouts import read_dataset


def mask(place):
    drawn = np.zeros((16, 12, 8), np.uint8)
    drawn[6 * place : 6 * place + 3, 1:4, 1:4] = 1
    return drawn


def test_labels_of_one_image_in_folders_called_after_organs_are_classes(tmp_path):
    for number in range(1, 4):
        nifti(tmp_path / f"images/{number}.nii.gz", scan(number, (16, 12, 8)))
        for place, organ in enumerate(("liver", "spleen")):
            nifti(tmp_path / organ / "labels" / f"{number}.nii.gz", mask(place))
    data = read_dataset(tmp_path)
    assert [entry.name for entry in data.table] == ["liver", "spleen"]
    assert all([part.path.parent.parent.name for part in case.parts] == ["liver", "spleen"] for case in data.cases)


def test_images_of_their_own_in_folders_called_after_organs_have_that_class_alone(tmp_path):
    for organ in ("left_kidney", "Liver"):
        for number in range(1, 4):
            nifti(tmp_path / organ / "images" / f"{number}.nii.gz", scan(number, (16, 12, 8)))
            nifti(tmp_path / organ / "labels" / f"{number}.nii.gz", mask(0))
    data = read_dataset(tmp_path)
    assert [entry.name for entry in data.table] == ["Liver", "left_kidney"]
    assert {case.annotated for case in data.cases} == {("Liver",), ("left_kidney",)}
    assert all(case.group is None for case in data.cases)


def test_folders_called_otherwise_stay_one_class(tmp_path):
    for site in ("oslo", "utrecht"):
        for number in range(1, 4):
            nifti(tmp_path / site / "images" / f"{number}.nii.gz", scan(number, (16, 12, 8)))
            nifti(tmp_path / site / "labels" / f"{number}.nii.gz", mask(0))
    assert [entry.name for entry in read_dataset(tmp_path).table] == ["class-1"]


@pytest.mark.parametrize(
    ("folder", "known"), [("Left Kidney", True), ("lungs", True), ("left", False), ("liver_site2", False), ("3", False)]
)
def test_a_part_of_the_body_is_known_by_all_words_of_its_name(folder, known):
    assert is_anatomy(folder) is known
