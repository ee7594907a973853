"""The table of names beside a label map."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medseg.errors import InputError
from medseg.io.label_table import find_table, read_table, table_path, write_table
from medseg.io.read import read_labels
from medseg.types import LabelClass, LabelTable

TABLE = LabelTable((LabelClass(1, "liver", color=(1, 2, 250)), LabelClass(7, "kidney, left\there")))


def label_file(path, values=(0, 1, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.array(values, np.uint8).reshape(-1, 1, 1), np.eye(4)), path)
    return path


def named(path):
    return {entry.value: entry.name for entry in read_labels(path).table}


def test_what_is_written_is_read_back(tmp_path):
    write_table(TABLE, tmp_path / "labels.tsv")
    assert [(c.value, c.name, c.color) for c in read_table(tmp_path / "labels.tsv")] == [
        (c.value, c.name, c.color) for c in TABLE
    ]
    assert (tmp_path / "labels.tsv").read_text().splitlines()[:2] == ["index\tname\tcolor", "1\tliver\t#0102fa"]


def test_labels_take_names_from_their_table(tmp_path):
    path = label_file(tmp_path / "case" / "labels.nii.gz")
    assert named(path) == {1: "class-1", 2: "class-2"}
    write_table(TABLE, table_path(path))
    # A class that does not occur is known to be absent; a value the table does not have stays unnamed.
    assert named(path) == {1: "liver", 2: "class-2", 7: "kidney, left\there"}


def test_one_table_serves_a_folder_and_the_nearest_wins(tmp_path):
    path = label_file(tmp_path / "derivatives" / "sub-01_dseg.nii.gz")
    tables = [tmp_path / "dseg.tsv", tmp_path / "derivatives" / "labels.tsv", tmp_path / "derivatives/sub-01_dseg.tsv"]
    for number, table in enumerate(tables):
        table.write_text(f"index\tname\n0\tBackground\n1\tname {number}\n")
        assert find_table(path) == table
        assert named(path)[1] == f"name {number}"


def test_a_table_of_another_label_map_is_not_taken(tmp_path):
    """`labels.tsv` beside `labels.nii.gz` names its values, and none of a neighbor or of the folder below."""
    own = label_file(tmp_path / "labels.nii.gz")
    write_table(TABLE, tmp_path / "labels.tsv")
    for other in ("instances.nii.gz", "below/labels.nii.gz", "below/case.nii.gz"):
        assert find_table(label_file(tmp_path / other)) is None
    assert find_table(own) == tmp_path / "labels.tsv"
    own.unlink()
    assert find_table(tmp_path / "instances.nii.gz") == tmp_path / "labels.tsv"
    assert find_table(tmp_path / "below" / "case.nii.gz") is None


def test_pictures_and_metaimages_have_names_too(tmp_path):
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.tsv").write_text("name\tindex\ncell\t1\n")
    assert named(tmp_path / "a.png") == {1: "cell"}


def test_a_table_of_something_else_is_left_alone(tmp_path):
    path = label_file(tmp_path / "participants.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t33\n")
    (tmp_path / "labels.tsv").write_bytes(b"\xff\xfe\x00")
    assert named(path) == {1: "class-1", 2: "class-2"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x\tliver\t", "line 2 is not a class"),
        ("70000\tliver\t", "line 2 is not a class"),
        ("1\t\t", "line 2 is not a class"),
        ("1\tliver\tred", "line 2 is not a class"),
        ("1\tliver\t\n1\tspleen\t", "value 1 comes twice"),
    ],
)
def test_a_wrong_line_is_an_error_that_names_it(tmp_path, line, message):
    (tmp_path / "labels.tsv").write_text(f"index\tname\tcolor\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_labels(label_file(tmp_path / "labels.nii.gz"))
