"""The random walker in a box: 2D images, missing values, nothing to hold on to; and the box around marks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.errors import InputError
from medseg.review.marks import MARGIN, MOST_SIDE, Marks, box_around
from medseg.review.random_walk import random_walk

UNIT = (1.0, 1.0, 1.0)


def marks(inside, outside=()):
    return Marks(np.reshape(inside, (-1, 3)).astype(int), np.reshape(outside, (-1, 3)).astype(int))


def disc(shape=(24, 20, 1)):
    return np.hypot(*(axis - 10.0 for axis in np.indices(shape)[:2])) < 6


@pytest.mark.parametrize("outside", [(), ((1, 1, 0),)])
def test_a_2d_image_is_one_slice(outside) -> None:
    found = random_walk(100.0 * disc(), marks((10, 11, 0), outside), UNIT)
    assert np.array_equal(found, disc())


def test_values_that_are_none_are_no_edge_of_the_object_elsewhere() -> None:
    scan = 100.0 * disc()
    scan[:3] = np.nan
    scan[-1, -1] = np.inf
    assert np.array_equal(random_walk(scan, marks((10, 11, 0), (20, 1, 0)), UNIT), disc())


def test_an_object_smaller_than_the_range_of_values_is_not_clipped_away() -> None:
    scan = np.random.default_rng(0).normal(40, 5, (30, 30, 30))
    scan[14:16, 14:16, 14:16] += 100  # 0.03% of the voxels
    found = random_walk(scan, marks((14, 14, 14), (3, 3, 3)), UNIT)
    assert found[14:16, 14:16, 14:16].all()
    assert found.sum() < 40


@pytest.mark.parametrize(("value", "says"), [(7.0, "one and the same value"), (np.nan, "no values")])
def test_nothing_is_made_up_where_there_is_no_edge(value, says) -> None:
    with pytest.raises(InputError, match=says):
        random_walk(np.full((6, 6, 6), value), marks((3, 3, 3), (0, 0, 0)), UNIT)


voxels = st.tuples(st.integers(0, 149), st.integers(0, 9), st.integers(0, 79))


@given(st.lists(voxels, min_size=1, max_size=6))
def test_a_box_holds_all_marks_lies_in_the_scan_and_is_bounded(inside) -> None:
    shape, array = (150, 10, 80), np.array(inside)
    if (np.ptp(array, axis=0) + 1 > MOST_SIDE).any():
        with pytest.raises(InputError, match="apart"):
            box_around(array, shape)
        return
    box = box_around(array, shape)
    low, size = np.array(box.low), np.array(box.size)
    assert (low >= 0).all()
    assert (low + size <= shape).all()
    assert (size <= MOST_SIDE).all()
    assert ((array >= low) & (array < low + size)).all()
    assert (size >= np.minimum(np.ptp(array, axis=0) + 1 + MARGIN, np.minimum(shape, MOST_SIDE))).all()
