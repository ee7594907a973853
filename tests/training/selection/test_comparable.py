"""A prediction of overlapping regions and a reference of values are brought to numbers that mean the same."""

import json

import nibabel as nib
import numpy as np
import pytest
from small_labels import MODEL

from medseg.data.layouts import read_dataset
from medseg.errors import InputError
from medseg.training.selection.comparable import comparable
from medseg.types import Geometry, LabelMap, OverlappingLabels, Prediction

SHAPE = (4, 5, 3)
GRID = Geometry(np.eye(4), SHAPE)
# Neither of the first two lies in the other: a label map could hold only one of them.
REGIONS = {"left part": [1, 2], "right part": [2, 4], "middle": 2}


@pytest.fixture
def data(tmp_path):
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    for folder, name in (("imagesTr", "a_0000"), ("labelsTr", "a")):
        nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)), tmp_path / folder / f"{name}.nii.gz")
    description = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, **REGIONS, "ignore": 9},
        "overlapping": True,
    }
    (tmp_path / "dataset.json").write_text(json.dumps({**description, "file_ending": ".nii.gz"}))
    return read_dataset(tmp_path)


def test_each_region_has_the_same_numbers_on_both_sides(data):
    assert (data.regions, data.masks, data.overlapping) == ({1: (1, 2), 2: (2, 4), 3: (2,)}, False, True)
    random = np.random.default_rng(0)
    values = random.choice([0, 1, 2, 4, 9], SHAPE).astype(np.uint8)
    bits = random.integers(0, 8, SHAPE).astype(np.uint8)
    found = OverlappingLabels.of_bits(bits, GRID, data.table, (1, 2, 3))
    pair = comparable(data, Prediction(found.folded(), MODEL, overlapping=found), LabelMap(values, GRID, data.table))
    for value, covered in data.regions.items():
        assert np.array_equal(np.isin(pair.prediction.array, pair.values_of[value]), found.mask(value))
        assert np.array_equal(np.isin(pair.reference.array, pair.values_of[value]), np.isin(values, covered))
    assert np.array_equal(pair.reference.array == pair.ignore, values == 9)


def test_a_model_of_another_kind_is_refused(data):
    folded = Prediction(LabelMap(np.zeros(SHAPE, np.uint8), GRID, data.table), MODEL)
    with pytest.raises(
        InputError, match="classes of the model exclude each other, and those of the dataset may overlap"
    ):
        comparable(data, folded, folded.labels)
