import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates, zoom
from skimage.transform import resize

from medseg.prepare.resample import nearest_index, operator, resample, resample_axis, resampled_size, separate_axis

SIZES = st.integers(1, 40)


@settings(max_examples=60)
@given(st.tuples(SIZES, SIZES, SIZES), st.tuples(SIZES, SIZES, SIZES), st.sampled_from([1, 3]))
def test_equals_scikit_image_as_nnunet_calls_it(shape, target, order):
    array = np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)
    expected = resize(array.astype(float), target, order=order, mode="edge", anti_aliasing=False)
    assert np.abs(resample(array, target, order) - expected).max() < 1e-4


@pytest.mark.parametrize("order", [1, 3])
def test_equals_scipy_zoom_on_a_large_axis(order):
    line = np.random.default_rng(0).normal(size=700)
    for target in (233, 699, 701, 1300):
        expected = zoom(line, target / 700, order=order, mode="nearest", grid_mode=True)
        assert np.abs(operator(700, target, order) @ line - expected).max() < 1e-5


def test_each_axis_of_a_leading_channel_array_is_its_own():
    array = np.random.default_rng(0).normal(size=(2, 9, 8, 7)).astype(np.float32)
    for axis in (-3, -2, -1):
        expected = np.moveaxis(operator(array.shape[axis], 11, 3) @ np.moveaxis(array, axis, -2), -2, axis)
        assert np.allclose(resample_axis(array, axis, 11, 3), expected, atol=1e-5)


def test_same_size_is_the_same_array():
    array = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    assert resample(array, (5, 6, 7), 3) is array


def test_constants_stay_and_straight_lines_stay_straight():
    ramp = np.broadcast_to(np.arange(30, dtype=np.float32), (4, 5, 30)).copy()
    finer = resample(ramp, (4, 5, 60), 1)
    inside = finer[0, 0, 2:-2]
    assert np.allclose(np.diff(inside), 0.5, atol=1e-5)
    assert np.allclose(resample(np.full((6, 5, 4), 3.5, np.float32), (11, 3, 9), 3), 3.5, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_separate_slices_equal_nnunets_way(axis):
    """Each slice by scikit-image in its plane, then the nearest slice by scipy's map_coordinates, as nnU-Net does."""
    rng = np.random.default_rng(axis)
    shape, target = [13, 17, 19], [20, 9, 33]
    array = rng.normal(size=shape).astype(np.float32)
    plane = [n for a, n in enumerate(target) if a != axis]
    slices = [
        resize(s.astype(float), plane, order=3, mode="edge", anti_aliasing=False) for s in np.moveaxis(array, axis, 0)
    ]
    stack = np.moveaxis(np.stack(slices), 0, axis)
    grid = np.mgrid[tuple(slice(n) for n in target)].astype(float)
    for a in range(3):
        scale = stack.shape[a] / target[a]
        grid[a] = scale * (grid[a] + 0.5) - 0.5
    expected = map_coordinates(stack, grid, order=0, mode="nearest")
    assert np.abs(resample(array, target, 3, axis) - expected).max() < 1e-4


def test_nearest_takes_the_upper_of_two_equally_near():
    assert nearest_index(4, 2).tolist() == [1, 3]
    assert nearest_index(3, 6).tolist() == [0, 0, 1, 1, 2, 2]


@given(st.integers(1, 600), st.floats(0.2, 8), st.floats(0.2, 8), st.floats(-1e-6, 1e-6))
def test_header_noise_does_not_change_the_size(size, spacing, target, noise):
    exact = size * spacing / target
    width = min(1e-4 * max(1, exact), 0.1)
    near_limit = abs(abs(exact - np.floor(exact) - 0.5) - width) < 1e-5 * max(1, exact)
    if not near_limit:
        assert resampled_size(size, spacing, target) == resampled_size(size, spacing * (1 + noise), target)


def test_the_size_of_a_large_image_stays_as_it_is():
    assert all(resampled_size(size, 0.5, 0.5) == size for size in range(1, 30_000))


def test_halves_round_to_even_with_and_without_noise():
    for spacing in (1.5, 1.5 - 1e-6, 1.5 + 1e-6):
        assert resampled_size(35, spacing, 1.0) == 52
        assert resampled_size(37, spacing, 1.0) == 56
    assert resampled_size(1, 0.1, 10.0) == 1


@pytest.mark.parametrize("noise", [0.0, 1e-6, -1e-6])
def test_separate_axis_follows_nnunets_rule(noise):
    def near(*spacing):
        return tuple(mm * (1 + noise * i) for i, mm in enumerate(spacing))

    assert separate_axis(near(1, 1, 5), (1, 1, 1)) == 2
    assert separate_axis((1, 1, 1), near(4, 1, 1)) == 0
    assert separate_axis(near(1, 1, 3), (1, 1, 3)) is None  # not more than three times
    assert separate_axis(near(1, 1, 3.01), (1, 1, 3.01)) == 2
    assert separate_axis(near(0.24, 1.25, 1.25), (1, 1, 1)) is None  # two coarse axes
    assert separate_axis(near(0.8, 0.8, 1), (1, 1, 1)) is None
