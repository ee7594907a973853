import numpy as np
import pytest
from shared_data import DATA
from small_files import classes, noise, picture, volume

from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import InputError


def test_pictures_with_label_pictures(tmp_path):
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    cell = np.where(gray > 20, 255, 0).astype(np.uint8)
    for name in "ab":
        picture(tmp_path / "image" / f"{name}.png", gray)
        picture(tmp_path / "label" / f"{name}.png", cell)
    dataset = read_dataset(tmp_path)
    assert (dataset.layout, dataset.dimensions, len(dataset.channels)) == ("pairs", 2, 1)
    assert [c.value for c in dataset.table] == [255]
    scan, reference = read_case(dataset, dataset.cases[0])
    assert scan.array.shape == (1, 8, 6, 1)
    assert ((reference.array == 255) == (scan.array[0] > 20)).all()


def test_objects_are_one_class(tmp_path):
    colors = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    ids = np.zeros((6, 8), np.uint16)
    ids[:2], ids[4:] = 1, 700
    picture(tmp_path / "images" / "a.png", colors)
    picture(tmp_path / "instances" / "a.png", ids)
    dataset = read_dataset(tmp_path)
    assert [(c.value, c.name) for c in dataset.table] == [(1, "object")]
    assert [c.name for c in dataset.channels] == ["red", "green", "blue"]
    scan, reference = read_case(dataset, dataset.cases[0])
    assert scan.channels == 3
    assert np.array_equal(reference.array[..., 0].T, ids > 0)


def test_volumes_in_paired_folders(tmp_path):
    volume(tmp_path / "imagesTr" / "a.b.nii.gz", noise())
    volume(tmp_path / "labelsTr" / "a.b.nii.gz", classes(values=(1, 3)))
    dataset = read_dataset(tmp_path)
    assert dataset.dimensions == 3
    assert dataset.cases[0].case_id == "a.b"
    assert [c.value for c in dataset.table] == [1, 3]


def test_files_that_do_not_pair_are_shown(tmp_path):
    picture(tmp_path / "images" / "a.png", np.zeros((4, 4), np.uint8))
    picture(tmp_path / "masks" / "b.png", np.ones((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"images images/a.png \(1\), labels masks/b.png \(1\), and no label has"):
        read_dataset(tmp_path)


def test_names_that_differ_in_their_ends_pair(tmp_path):
    picture(tmp_path / "images" / "a.png", np.zeros((4, 4), np.uint8))
    picture(tmp_path / "masks" / "a_mask.png", np.ones((4, 4), np.uint8))
    (case,) = read_dataset(tmp_path).cases
    assert (case.case_id, case.reference) == ("a", tmp_path / "masks" / "a_mask.png")


@pytest.mark.needs_data("data/membranes_em", "data/nuclei")
@pytest.mark.parametrize(
    ("name", "cases", "channels", "references"), [("membranes_em", 24, 1, "classes"), ("nuclei", 200, 3, "instances")]
)
def test_real_pictures(name, cases, channels, references):
    dataset = read_dataset(DATA / name)
    assert (len(dataset.labeled), len(dataset.channels), dataset.references) == (cases, channels, references)
    assert dataset.dimensions == 2
