"""Axes and pixel sizes of TIFF by ImageJ and OME."""

import numpy as np
import pytest
import tifffile

from medseg.errors import InputError
from medseg.evaluation.files.dicom_labels import read_pair
from medseg.io.image2d import NO_DISTANCE, NO_PLACE, UNUSED
from medseg.io.nifti import write_labels
from medseg.io.read import load_scan, read_labels
from medseg.types import LabelMap, LabelTable

SHAPES = {"Z": 3, "C": 2, "T": 4, "Y": 8, "X": 9}


def write(path, axes, kind, *, size=True, distance=True):
    """Write a ramp whose values tell the place along each axis."""
    shape = tuple(SHAPES[axis] for axis in axes)
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    if kind == "imagej":
        metadata = {"axes": axes} | ({"unit": "micron"} if size else {}) | ({"spacing": 2.0} if distance else {})
        tifffile.imwrite(path, array, imagej=True, metadata=metadata, resolution=(2.0, 4.0))
    else:
        metadata = {"axes": axes}
        if size:
            metadata |= {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
        if distance:
            metadata |= {"PhysicalSizeZ": 0.002, "PhysicalSizeZUnit": "mm"}
        tifffile.imwrite(path, array, ome=True, metadata=metadata)
    return array


@pytest.mark.parametrize("kind", ["imagej", "ome"])
@pytest.mark.parametrize("axes", ["ZYX", "CYX", "ZCYX", "YX"])
def test_slices_and_channels(tmp_path, axes, kind):
    array = write(tmp_path / "a.tif", axes, kind)
    scan = load_scan(tmp_path / "a.tif")
    for axis in "ZC":
        if axis not in axes:
            array = np.expand_dims(array, 0)
            axes = axis + axes
    expected = array.transpose(*(axes.index(axis) for axis in "CXYZ"))
    np.testing.assert_array_equal(scan.array, expected)
    np.testing.assert_allclose(scan.geometry.spacing[:2], (0.0005, 0.00025))
    if scan.array.shape[3] > 1:
        assert scan.geometry.spacing[2] == pytest.approx(0.002)
    assert scan.source.warnings == ()
    assert "its pixels are 0.0005 x 0.00025" in scan.source.notes[0]


@pytest.mark.parametrize("kind", ["imagej", "ome"])
@pytest.mark.parametrize("axes", ["TYX", "TZYX", "TZCYX"])
def test_time_points_are_no_slices(tmp_path, axes, kind):
    write(tmp_path / "a.tif", axes, kind)
    with pytest.raises(InputError, match="it holds 4 time points, which are no slices"):
        load_scan(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_without_a_size(tmp_path, kind):
    write(tmp_path / "a.tif", "ZYX", kind, size=False, distance=False)
    scan = load_scan(tmp_path / "a.tif")
    assert scan.geometry.spacing == (1, 1, 1)
    assert scan.source.notes == (NO_PLACE,)


def test_without_a_distance_of_slices(tmp_path):
    write(tmp_path / "a.tif", "ZYX", "ome", distance=False)
    assert load_scan(tmp_path / "a.tif").source.warnings == (NO_DISTANCE,)


@pytest.mark.parametrize("size", ["0,5", "inf"])
def test_a_size_that_is_no_number_is_none(tmp_path, size):
    metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9), np.uint8), ome=True, metadata=metadata)
    assert load_scan(tmp_path / "a.tif").source.notes == (NO_PLACE,)


def test_dots_per_inch_are_no_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9), np.uint8), resolution=(72, 72), resolutionunit="INCH")
    assert load_scan(tmp_path / "a.tif").geometry.spacing == (1, 1, 1)


def test_labels_without_a_size_lie_on_the_image_they_belong_to(tmp_path):
    """Few programs that save masks keep the size of the image's pixels."""
    write(tmp_path / "a.tif", "YX", "ome")
    geometry = load_scan(tmp_path / "a.tif").geometry
    mask = np.zeros((8, 9), np.uint8)
    mask[2:5, 3:6] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    write_labels(LabelMap(mask.T[..., None], geometry, LabelTable.unnamed([1])), tmp_path / "labels.nii.gz")
    ours, theirs = read_pair(tmp_path / "labels.nii.gz", tmp_path / "mask.tif")
    assert ours.geometry.matches(theirs.geometry)
    assert np.array_equal(ours.array, theirs.array)
    assert read_labels(tmp_path / "mask.tif").geometry.spacing == (1, 1, 1)


def test_a_resolution_in_cm_is_spoken_of(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((9, 9), np.uint8), resolution=(1000, 1000), resolutionunit="CENTIMETER"
    )
    scan = load_scan(tmp_path / "a.tif")
    assert scan.source.notes == (UNUSED.format(1000.0),)
    assert scan.geometry.spacing == (1, 1, 1)
