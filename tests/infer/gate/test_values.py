"""An image is told from one value, a mask, a label map and what no network can be shown."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom

from medseg.infer.gate.values import Values, no_hounsfield, no_suv, what_is_wrong

RNG = np.random.default_rng(0)
TISSUE = gaussian_filter(RNG.normal(size=(24, 30, 20)), 2) * 2000
REGIONS = zoom(RNG.integers(0, 30, (3, 3, 4)), (15, 15, 5), order=0)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_image_passes_in_every_type_and_memory_order(dtype, order) -> None:
    scaled = (TISSUE - TISSUE.min()) / np.ptp(TISSUE) * 250
    assert what_is_wrong(Values(np.asarray(scaled.astype(dtype), order=order))) is None


def test_a_dark_image_of_few_gray_levels_passes() -> None:
    picture = np.clip(RNG.poisson(3 + 4 * (gaussian_filter(RNG.normal(size=(200, 200, 1)), 4) > 0.02)), 0, 40)
    picture[:100] = 0
    assert what_is_wrong(Values(picture.astype(np.uint8))) is None


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.full((8, 9, 7), 3, np.int16), "same intensity, 3,"),
        ((TISSUE > 100).astype(np.uint8), "no more than 8 different intensities"),
        (np.digitize(TISSUE, [-200, 0, 200]).astype(np.float32), "no more than 8 different intensities"),
        (REGIONS.astype(np.int16), "is a label map"),
        (REGIONS.astype(np.float32) * 1000.5, "is a label map"),
        (gaussian_filter((TISSUE > 100) * 255.0, 0.4), "is a mask with soft edges"),
        (np.full((8, 9, 7), np.nan), "NaN, infinite or beyond float32"),
        (np.full((8, 9, 7), 1e300), "NaN, infinite or beyond float32"),
    ],
)
def test_what_is_no_image_is_named(array, why) -> None:
    assert why in (what_is_wrong(Values(array)) or "")


def test_a_mask_whose_one_region_lies_between_the_planes_looked_at_is_found() -> None:
    mask = np.zeros((40, 40, 100), np.uint8)
    mask[3, 4, 1] = 1
    assert "different intensities" in (what_is_wrong(Values(mask)) or "")


def test_small_objects_on_an_empty_background_are_a_label_map() -> None:
    objects = np.zeros((48, 48, 12), np.int16)
    for number, (x, y) in enumerate(np.ndindex(8, 8), start=1):
        objects[6 * x + 1 : 6 * x + 4, 6 * y + 1 : 6 * y + 4] = number
    assert "is a label map" in (what_is_wrong(Values(objects)) or "")


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_label_map_of_one_slice_is_found_however_it_lies_in_memory(order) -> None:
    labels = np.asarray(zoom(RNG.integers(0, 30, (6, 5, 1)), (40, 40, 1), order=0), order=order)
    assert "is a label map" in (what_is_wrong(Values(labels)) or "")
    picture = np.asarray(gaussian_filter(RNG.normal(size=(240, 200, 1)), 2) * 200 + 20, np.int16, order=order)
    assert what_is_wrong(Values(picture)) is None


@pytest.mark.parametrize("shape", [(200, 240, 1), (60, 50, 70), (1, 900, 80)])
@pytest.mark.parametrize("draw", ["random", "standard_normal", "standard_exponential", "standard_cauchy"])
def test_noise_of_any_distribution_shows_nothing(draw, shape) -> None:
    noise = np.clip(getattr(np.random.default_rng(1), draw)(shape), -50, 50)
    gradient = np.linspace(0, 5, shape[1])[:, None]
    for values in (noise, noise + gradient, gaussian_filter(noise, [min(n - 1, 0.7) for n in shape])):
        assert "nothing but noise" in (what_is_wrong(Values(values)) or "")
        assert "nothing but noise" in (what_is_wrong(Values((values * 100).astype(np.int16))) or "")


def test_objects_in_one_corner_or_far_brighter_specks_are_no_noise() -> None:
    noise = np.random.default_rng(1).normal(100, 10, (1200, 600, 1))
    noise[1100:1130, 500:540] += 40
    assert what_is_wrong(Values(noise)) is None
    objects = (
        np.random.default_rng(1).poisson(3 + 6 * (gaussian_filter(RNG.normal(size=(200, 200, 1)), 4) > 0.01)) * 1.0
    )
    objects[::25, ::25] = 5000
    assert what_is_wrong(Values(objects)) is None


def test_an_image_that_is_constant_where_it_was_looked_at_passes() -> None:
    lit = np.zeros((40, 40, 100), np.int16)
    lit[:, :, 0] = np.arange(1600).reshape(40, 40)
    assert what_is_wrong(Values(lit)) is None


def test_a_few_voxels_that_are_nan_are_left_to_the_preparation() -> None:
    array = TISSUE.astype(np.float32)
    array[0, 0, :3] = np.nan
    assert what_is_wrong(Values(array)) is None


@pytest.mark.parametrize(("scale", "shift", "good"), [(1, -900, True), (1, 100, False), (0.001, 0, False)])
def test_hounsfield_units_reach_below_zero(scale, shift, good) -> None:
    ct = np.abs(TISSUE) * scale + shift
    assert (no_hounsfield(Values(ct.astype(np.float32))) is None) is good


def test_the_message_names_the_few_voxels_that_are_no_hounsfield_units() -> None:
    ct = np.abs(TISSUE) - 900
    ct[0, 0, 0] = -32768
    assert "from -3.277e+04 to" in no_hounsfield(Values(ct))


@pytest.mark.parametrize(("scale", "shift", "good"), [(0.01, 0, True), (100, 0, False), (0.01, -20, False)])
def test_uptake_is_of_the_order_of_one(scale, shift, good) -> None:
    assert (no_suv(Values(np.abs(TISSUE).astype(np.float32) * scale + shift)) is None) is good


def test_brightness_is_where_the_median_lies() -> None:
    dark = np.linspace(0, 1, 10_000).reshape(100, 100, 1) ** 3
    assert Values(dark).brightness == pytest.approx(0.125, abs=0.02)
    assert Values(1 - dark).brightness == pytest.approx(0.875, abs=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_count_neither_for_brightness_nor_for_units(value) -> None:
    light = 1 - np.linspace(0, 1, 10_000).reshape(100, 100, 1) ** 3
    light[::7] = value
    assert Values(light).brightness == pytest.approx(0.875, abs=0.02)
    assert "no standardized uptake values" in no_suv(Values(light * 1e5))
    assert Values(np.full((4, 4, 4), value)).brightness == 0
