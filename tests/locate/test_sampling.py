"""Grids that cover each other, and images on them, against what is known exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.locate.crop import Crop, by_quantiles, crop_axes, crop_grid, labels_on, sample_crop
from medseg.locate.sampling import Image, coarse, covered, foreground, largest_component, part_of
from medseg.models.package import load_package
from medseg.types import Geometry

LOCATE = load_package("hippocampus").card.locate


def ramp(grid):
    """An image whose value is the world's x + 2 y + 3 z, which every order of interpolation keeps."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return Image((grid.to_world(index) @ [1.0, 2.0, 3.0]).astype(np.float32), grid)


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.tuples(*[st.floats(-4, 4)] * 3))
def test_a_linear_image_is_sampled_exactly_on_a_turned_grid(pitch, roll, shift):
    grid = Geometry(np.diag([1.5, 1.0, 2.0, 1.0]), (30, 40, 24))
    turn = np.eye(4)
    c, s, d, t = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn[:3, :3] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[d, -t, 0], [t, d, 0], [0, 0, 1]])
    middle = grid.to_world((np.array(grid.shape) - 1) / 2) + shift
    turn[:3, 3] = middle - turn[:3, :3] @ [3.5, 3.5, 3.5]
    inner = Geometry(turn, (8, 8, 8))
    assert np.allclose(ramp(grid).on(inner), ramp(inner).array, atol=1e-3)


def test_a_box_of_an_image_lies_where_it_lay():
    grid = Geometry(np.array([[0, -1.5, 0, 7], [2, 0, 0, -3], [0, 0, 1, 5], [0, 0, 0, 1.0]]), (20, 30, 12))
    box = covered(Geometry(np.array([[1, 0, 0, -20.0], [0, 1, 0, 10], [0, 0, 1, 8], [0, 0, 0, 1]]), (4, 4, 4)), grid, 1)
    part = ramp(grid).part(box)
    assert np.array_equal(part.array, ramp(part.geometry).array)
    assert part_of(grid, (slice(0, 20), slice(0, 30), slice(0, 12))).matches(grid)


def test_a_grid_outside_another_one_covers_its_nearest_corner():
    grid = Geometry(np.eye(4), (10, 10, 10))
    far = np.eye(4)
    far[:3, 3] = 100
    assert covered(Geometry(far, (3, 3, 3)), grid, 1) == (slice(8, 10),) * 3
    assert not labels_on([Crop(np.ones((3, 3, 3), np.uint8), Geometry(far, (3, 3, 3)))], grid, [1]).any()


def test_a_coarse_copy_has_the_same_outer_edges_and_means():
    image = ramp(Geometry(np.diag([1.0, 1.0, 1.0, 1.0]), (30, 30, 30)))
    small = coarse(image, 3.0)
    assert small.geometry.shape == (10, 10, 10)
    assert np.allclose(small.geometry.to_world([-0.5] * 3), [-0.5] * 3)
    assert np.allclose(small.array[2:-2, 2:-2, 2:-2], ramp(small.geometry).array[2:-2, 2:-2, 2:-2], atol=0.1)


def test_a_crop_lies_about_its_center_along_its_axes():
    center = np.array([10.0, -20.0, 30.0])
    grid = crop_grid(center, crop_axes(np.diag([2.0, 0.5, 1.0, 1.0]), 15.0), LOCATE)
    assert grid.shape == (36, 50, 36)
    assert np.allclose(grid.to_world((np.array(grid.shape) - 1) / 2), center)
    front = grid.affine[:3, 1]
    assert np.rad2deg(np.arcsin(-front[2])) == pytest.approx(15)


def test_labels_of_a_crop_come_back_to_their_places():
    grid = Geometry(np.diag([1.0, 1.0, 1.0, 1.0]), (60, 60, 60))
    affine = np.eye(4)
    affine[:3, 3] = [10, 8, 12]
    crop = Geometry(affine, (36, 50, 36))
    labels = np.zeros(crop.shape, np.uint8)
    labels[5:20, 10:30, 8:16], labels[5:20, 30:40, 8:16] = 1, 2
    whole = labels_on([Crop(labels, crop)], grid, [1, 2])
    assert np.array_equal(whole[10:46, 8:58, 12:48], labels)
    assert (whole > 0).sum() == (labels > 0).sum()
    assert np.allclose(sample_crop(ramp(grid), crop), ramp(crop).array, atol=1e-2)


def test_a_voxel_is_what_most_of_the_crops_say():
    grid = Geometry(np.eye(4), (12, 12, 12))
    crops = []
    for shift in (0, 0, 2):
        labels = np.zeros((8, 8, 8), np.uint8)
        labels[2:5, 2:6, 2:6] = 1
        affine = np.eye(4)
        affine[:3, 3] = [shift, 1, 1]
        crops.append(Crop(labels, Geometry(affine, (8, 8, 8))))
    assert set(np.argwhere(labels_on(crops, grid, [1]))[:, 0]) == {2, 3, 4}
    assert set(np.argwhere(labels_on(crops[2:], grid, [1]))[:, 0]) == {4, 5, 6}


@given(st.integers(0, 10), st.floats(0.01, 100), st.floats(-1000, 1000))
def test_a_crop_is_brought_to_the_training_datas_quantiles_whatever_its_unit(seed, scale, offset):
    crop = np.random.default_rng(seed).gamma(2, 1, (9, 9, 9)).astype(np.float32)
    brought = by_quantiles(crop, LOCATE.quantiles)
    steps = np.linspace(0, 1, len(LOCATE.quantiles))
    assert np.allclose(np.quantile(brought, steps), LOCATE.quantiles, atol=0.05 + 0.02 * np.abs(LOCATE.quantiles))
    assert np.all(np.diff(brought.ravel()[np.argsort(crop.ravel())]) >= 0)
    assert np.allclose(by_quantiles(crop * scale + offset, LOCATE.quantiles), brought, atol=0.1)


def test_air_stays_one_value():
    crop = np.zeros((6, 6, 6), np.float32)
    crop[3:] = np.arange(108).reshape(3, 6, 6)
    brought = by_quantiles(crop, (-2.0, -1.0, 0.0, 1.0, 2.0))
    assert set(brought[:3].ravel()) == {-2.0}
    assert brought.max() == 2


def test_the_largest_component_of_nothing_is_nothing():
    assert not largest_component(np.zeros((3, 3, 3), bool)).any()
    scaled, body = foreground(np.zeros((8, 8, 8), np.float32))
    assert not scaled.any()
    assert not body.any()
