"""TIFF stacks of a dataset whose pages are called time points."""

import numpy as np
import pytest
import tifffile

from medseg.data.audit import audit
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import GeometryMismatch, InputError
from medseg.io.read import load_scan


def stack(path, array, axes="TYX"):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes})


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        image = np.random.default_rng(number).integers(0, 255, (5, 9, 8)).astype(np.uint8)
        label = np.zeros((5, 9, 8), np.uint8)
        label[1 + number % 2 : 4, 2:7, 1:5] = 1
        stack(tmp_path / f"case{number}" / "image.tif", image)
        stack(tmp_path / f"case{number}" / "label.tif", label, "TYX" if number else "ZYX")
    return tmp_path


def test_time_points_with_a_label_for_each_are_slices_and_the_audit_says_so(folder):
    data = read_dataset(folder)
    assert data.dimensions == 3
    for case in data.labeled:
        image, label = read_case(data, case)
        stored = [tifffile.imread(path).transpose(2, 1, 0) for path in (case.images[0], case.reference)]
        assert np.array_equal(image.array[0], stored[0])
        assert np.array_equal(label.array, stored[1])
    found = [finding for finding in audit(data).findings if finding.kind == "time-as-slices"]
    assert {finding.case_id for finding in found} == {"case0", "case1", "case2"}
    assert found[0].message == "image.tif has 5 time points, which were read as slices."
    assert not any(finding.blocks for finding in found)


def test_where_the_label_has_other_pages_or_there_is_none_they_are_no_slices(folder):
    stack(folder / "case1" / "label.tif", np.zeros((4, 9, 8), np.uint8))
    data = read_dataset(folder)
    with pytest.raises(GeometryMismatch):
        read_case(data, data.labeled[1])
    with pytest.raises(InputError, match="5 time points, which are no slices"):
        load_scan(folder / "case0" / "image.tif")
