import numpy as np
import pytest

from medseg.data.hounsfield import Levels, levels_of, not_hounsfield, seem_ct, shifted


def ct(zero=0.0, *, air=True, seed=0):
    """A body of water in air, or a crop of the body, with a brighter organ; and the organ's intensities."""
    random = np.random.default_rng(seed)
    image = random.normal(20, 15, (24, 24, 12))
    if air:
        image[:5] = random.normal(-1000, 10, (5, 24, 12))
    image[10:14, 10:14, 4:8] += 60
    image += zero
    return levels_of(image, image[10:14, 10:14, 4:8].ravel())


def off(cases):
    return [number for number, _ in shifted(cases)]


@pytest.mark.parametrize("air", [True, False])
@pytest.mark.parametrize("zero", [1024.0, 1000.0, -1024.0])
def test_one_case_with_another_zero_is_found(air, zero):
    cases = [ct(seed=n, air=air) for n in range(7)] + [ct(zero, seed=9, air=air)]
    ((number, difference),) = shifted(cases)
    assert number == 7
    assert difference == pytest.approx(zero, abs=10)


@pytest.mark.parametrize("air", [True, False])
def test_of_two_halves_the_one_in_hounsfield_units_is_right(air):
    cases = [ct(1024.0 * (n % 2), seed=n, air=air) for n in range(8)]
    assert off(cases) == [1, 3, 5, 7]


def test_air_decides_against_the_majority():
    assert off([ct(seed=0)] + [ct(1024.0, seed=n) for n in range(1, 6)]) == [1, 2, 3, 4, 5]


def test_cases_that_differ_in_tissue_are_not_off():
    bone = ct(seed=1)
    bone = Levels(bone.median, 900.0, bone.lowest, bone.air)
    assert off([ct(seed=0), bone, ct(seed=2)]) == []
    assert off([ct(seed=0)]) == []
    assert off([ct(120.0 * n, seed=n, air=False) for n in range(4)]) == []


def test_scans_without_anything_dark_are_not_hounsfield_units():
    assert not_hounsfield([ct(1024.0, seed=n) for n in range(3)])
    assert not not_hounsfield([ct(seed=n) for n in range(3)])
    assert not not_hounsfield([])


def crop(zero=0.0, scale=1.0, seed=0):
    """A crop of a body without air, fat in a corner of it."""
    random = np.random.default_rng(seed)
    image = random.normal(40, 15, (16, 16, 8))
    image[:4] = random.normal(-90, 15, (4, 16, 8))
    return levels_of(scale * image + zero, None)


def test_ct_that_nobody_calls_so_is_known_by_what_a_shift_leaves_as_it_is():
    assert seem_ct([crop(seed=n) for n in range(4)] + [crop(1024.0, seed=5)])
    assert seem_ct([crop(1024.0 * (n % 2), seed=n) for n in range(6)])
    # MR: no negative values, or as much wider as it is brighter.
    assert not seem_ct([crop(400.0, seed=n) for n in range(4)] + [crop(1400.0, seed=5)])
    assert not seem_ct([crop(seed=n) for n in range(4)] + [crop(1024.0, 3.0, seed=5)])


@pytest.mark.parametrize("window", [(-160, 240), (0, 400), (-500, 3000)])
def test_values_cut_off_at_a_window_are_seen(window):
    random = np.random.default_rng(0)
    image = random.normal(40, 15, (16, 16, 8))
    image[:4] = random.normal(-1000, 15, (4, 16, 8))
    assert levels_of(np.clip(image, *window), None).is_windowed
    assert not levels_of(np.clip(image, -1024, 3000), None).is_windowed
    assert not levels_of(image[6:], None).is_windowed
    gray = (np.clip(image, -160, 240) + 160) / 400 * 255
    assert levels_of(np.rint(gray), None).is_windowed
    assert levels_of(np.rint(gray)[6:], None).is_windowed
