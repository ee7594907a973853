"""Tissues of the template in known units, and crops brought from one brightness to another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.locate.template import load_template
from medseg.locate.tissues import Tissues, by_tissues, tissues_near
from medseg.models.package import load_package

PACKAGE = load_package("hippocampus")
LOCATE = PACKAGE.card.locate
TEMPLATE = load_template(PACKAGE.folder, LOCATE)
CENTERS = [region.center_mm for region in LOCATE.regions]
PLAIN = tissues_near(TEMPLATE, TEMPLATE.image.array, CENTERS)
# Far from those of training, but never so near to each other that rounding counts.
STEPS = st.floats(0.1, 50)


def test_the_templates_tissues_follow_each_other_as_in_t1():
    assert PLAIN.rise
    assert 0.3 < PLAIN.csf < PLAIN.darkest < PLAIN.gray < PLAIN.white < 1


@given(st.floats(0.01, 1000), st.floats(-500, 500))
def test_tissues_are_in_the_unit_of_the_scan(unit, offset):
    found = tissues_near(TEMPLATE, TEMPLATE.image.array.astype(np.float64) * unit + offset, CENTERS)
    for name in ("csf", "gray", "white"):
        assert getattr(found, name) == pytest.approx(getattr(PLAIN, name) * unit + offset, rel=1e-4, abs=1e-4)


def test_tissues_are_those_near_the_regions():
    grid = TEMPLATE.image.geometry
    world = grid.to_world(np.argwhere(TEMPLATE.brain))
    far = np.min([np.linalg.norm(world - center, axis=1) for center in CENTERS], axis=0) > 55
    array = TEMPLATE.image.array.copy()
    array[tuple(np.argwhere(TEMPLATE.brain)[far].T)] *= 3
    assert tissues_near(TEMPLATE, array, CENTERS) == PLAIN


@given(st.floats(-100, 100), STEPS, STEPS, st.floats(-3, 0), st.floats(0.1, 3), st.floats(0.1, 3))
def test_each_tissue_comes_to_lie_where_it_does_in_training(csf, gray, white, low, middle, high):
    own, training = Tissues(csf, csf + gray, csf + gray + white), (low, low + middle, low + middle + high)
    array = np.array([own.csf, own.gray, own.white], np.float32)
    assert np.allclose(by_tissues(array, own, training), training, atol=1e-3)
    values = np.sort(np.random.default_rng(0).uniform(own.csf - 10, own.white + 10, 100)).astype(np.float32)
    brought = by_tissues(values, own, training)
    assert brought.dtype == np.float32
    assert np.all(np.diff(brought) >= 0)


def test_how_much_of_a_crop_is_fluid_changes_no_other_voxel():
    own, training = Tissues(20, 60, 90), (-1.8, -0.3, 1.1)
    crop = np.linspace(0, 120, 64, dtype=np.float32).reshape(4, 4, 4)
    wide = crop.copy()
    wide[0] = 20
    assert np.array_equal(by_tissues(wide, own, training)[1:], by_tissues(crop, own, training)[1:])


def test_a_crop_stays_as_it_is_where_tissues_are_not_t1s():
    crop = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    assert by_tissues(crop, Tissues(90, 60, 20), (-1.8, -0.3, 1.1)) is crop
