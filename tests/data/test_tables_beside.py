"""Tables in a dataset's folder, whatever they are called."""

import pytest
from public_layouts import labels, nifti, scan

from medseg.data.layouts import read_dataset
from medseg.data.patient_groups import patients, ready_to_split


@pytest.fixture
def folder(tmp_path):
    for number in range(1, 5):
        nifti(tmp_path / f"s{number}/ct.nii.gz", scan(number))
        nifti(tmp_path / f"s{number}/seg.nii.gz", labels(number))
    return tmp_path


def test_the_one_table_that_lists_images_and_labels_is_read(folder):
    rows = "".join(f"s{n}/ct.nii.gz;s{n}/seg.nii.gz;c{n};p{n // 3}\n" for n in range(1, 5))
    (folder / "cases of 2021.csv").write_text("Image;Label;Case;PatientID\n" + rows)
    data = read_dataset(folder)
    assert data.layout == "table"
    assert data.read_as == ("cases: the rows of cases of 2021.csv",)
    assert [case.group for case in data.cases] == ["p0", "p0", "p1", "p1"]


def test_of_several_such_tables_none_is_read_and_it_is_said(folder):
    for name in ("train.csv", "val.csv"):
        (folder / name).write_text("image,label\ns1/ct.nii.gz,s1/seg.nii.gz\n")
    data = read_dataset(folder)
    assert len(data.labeled) == 4
    assert "train.csv, val.csv each list cases, and none is read" in " ".join(data.ambiguous)


@pytest.mark.parametrize("named", ["s{}", "ct_of/s{}", "S{}.nii.gz"])
def test_patients_and_parts_of_the_split_are_taken_from_a_table_beside(folder, named):
    rows = "".join(f"{named.format(n)};{n}0;anna{n // 3};{'test' if n == 4 else 'train'}\n" for n in range(1, 5))
    (folder / "meta.csv").write_text("image_id;age;patient ID;split\n" + rows)
    data = ready_to_split(read_dataset(folder))
    assert patients(data) == 2
    assert [case.split for case in data.cases] == ["train", "train", "train", "test"]
    assert "patients and parts of the split: from meta.csv" in data.read_as


@pytest.mark.parametrize("lines", ["s1,a\ns2,a\ns3,b\n", "s1,a\ns2,a\ns3,b\ns4,b\ns4,c\n"])
def test_a_table_that_does_not_name_each_case_once_is_said_not_to_be_read(folder, lines):
    (folder / "meta.csv").write_text("scan,patient_id\n" + lines)
    data = read_dataset(folder)
    assert all(case.group is None for case in data.cases)
    assert "meta.csv states patients, and is not read" in " ".join(data.ambiguous)


def test_cells_longer_than_a_name_of_a_file_may_be_are_no_files(folder):
    """As the warnings in ``cases.csv`` of predictions that are taken for references."""
    (folder / "cases.csv").write_text(
        "case_id,warnings\n" + "".join(f"s{n},{'much to say; ' * 30}\n" for n in range(1, 5))
    )
    assert len(read_dataset(folder).labeled) == 4


def test_a_column_of_other_values_is_no_split(folder):
    (folder / "meta.csv").write_text("id,phase\n" + "".join(f"s{n},arterial\n" for n in range(1, 5)))
    data = read_dataset(folder)
    assert all(case.split is None for case in data.cases)
    assert not any("meta.csv" in text for text in data.ambiguous)
