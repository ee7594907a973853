"""The part of a scan around a point: the same voxels in the same places, in every order of its axes."""

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import medseg
from medseg.errors import ConfigError, UsageError
from medseg.review.crop import crop_scan
from medseg.types import Geometry, Scan
from medseg.types.axis_order import AxisOrder, nearest_ras

RNG = np.random.default_rng(0)
AFFINE = np.array([[1.0, 0, 0, -30], [0, 0.5, 0, -40], [0, 0, 2.0, 10], [0, 0, 0, 1]])
GRID = Geometry(AFFINE, (40, 60, 20))
SCAN = Scan(RNG.integers(0, 1000, (1, *GRID.shape)).astype(np.int16), GRID, "MR")


def test_a_crop_holds_the_scan_s_own_voxels_where_they_lay():
    part = crop_scan(SCAN, (-10.0, -25.0, 30.0), (10, 8, 12))
    assert part.geometry.shape == (10, 16, 6)
    start = np.round(GRID.to_voxel(part.geometry.affine[:3, 3])).astype(int)
    x, y, z = (slice(a, a + n) for a, n in zip(start, part.geometry.shape, strict=True))
    assert np.array_equal(part.array, SCAN.array[:, x, y, z])
    middle = part.geometry.to_world((np.array(part.geometry.shape) - 1) / 2)
    assert np.all(np.abs(middle - [-10, -25, 30]) <= np.array(GRID.spacing) / 2 + 1e-9)


@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_it_is_the_same_in_every_order_of_the_axes(permutation, flips):
    order = AxisOrder(tuple(permutation), flips)
    stored = SCAN.with_array(order.apply(SCAN.array).copy(), order.geometry(GRID))
    # At a voxel, so that no half decides by the direction of an axis.
    part, own = (crop_scan(one, (-10.0, -25.0, 30.0), (11, 8.5, 14)) for one in (SCAN, stored))
    back = nearest_ras(own.geometry)
    assert back.geometry(own.geometry).matches(part.geometry)
    assert np.array_equal(back.apply(own.array), part.array)


def test_it_ends_where_the_scan_ends():
    part = crop_scan(SCAN, (-30.0, -40.0, 10.0), (10, 10, 10))
    assert part.geometry.shape == (6, 10, 3)
    assert np.allclose(part.geometry.affine[:3, 3], [-30, -40, 10])


def test_a_point_outside_is_refused_with_what_the_scan_covers():
    with pytest.raises(UsageError, match=r"this point lies outside the scan, which covers -30,-40,10 to 9,-10.5,48"):
        crop_scan(SCAN, (0.0, 0.0, 0.0), (10, 10, 10))


def test_by_the_file_and_by_the_model(tmp_path):
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(RNG.integers(0, 9, (90, 90, 90)).astype(np.int16), np.eye(4)), path)
    made = medseg.crop(path, "45,45,45", tmp_path / "made" / "crop.nii.gz", model="hippocampus")
    assert nib.load(made).shape == (36, 49, 34)  # between the smallest and the largest of the training data
    assert medseg.load_scan(made).geometry.to_world([0, 0, 0]).min() > 15
    for name in ("crop.nrrd", "crop.mha"):
        small = medseg.load_scan(medseg.crop(path, (45, 45, 45), tmp_path / name, size=(4, 5, 6)))
        assert small.geometry.shape == (4, 5, 6)
    with pytest.raises(UsageError, match="the size of the crop is not known"):
        medseg.crop(path, (45, 45, 45), tmp_path / "none.nii.gz")
    with pytest.raises(UsageError, match="no format has this ending"):
        medseg.crop(path, (45, 45, 45), tmp_path / "crop.png", size=(4, 5, 6))
    with pytest.raises(ConfigError, match="around: must be three numbers"):
        medseg.crop(path, "45,45", tmp_path / "crop.nii.gz", size=(4, 5, 6))


@pytest.mark.parametrize("link", [False, True])
def test_the_scan_is_never_written_over(tmp_path, link):
    path = out = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(RNG.integers(0, 9, (9, 9, 9)).astype(np.int16), np.eye(4)), path)
    before = path.read_bytes()
    if link:
        out = tmp_path / "link.nii.gz"
        out.symlink_to(path)
    with pytest.raises(UsageError, match="it would take the place of the file that it is made from"):
        medseg.crop(path, (4, 4, 4), out, size=(3, 3, 3))
    assert path.read_bytes() == before
