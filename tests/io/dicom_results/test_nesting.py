"""Contours of one slice: holes stay holes, copies count once, and what overlaps in part is one area."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.io.dicom_results.contours import fill, trace
from medseg.io.dicom_results.nesting import combine

SHAPE = (24, 20)


def box(x0, y0, x1, y1):
    """Outline of the pixels from (x0, y0) up to (x1, y1), not included."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float) - 0.5


def area(*boxes):
    mask = np.zeros(SHAPE, bool)
    for x0, y0, x1, y1 in boxes:
        mask[x0:x1, y0:y1] = True
    return mask


@settings(max_examples=100)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_what_was_traced_is_filled_without_a_word(mask):
    done = combine(trace(mask), mask.shape)
    assert np.array_equal(done.inside, mask)
    assert (done.twice, done.joined, done.edging, done.crossing) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((2, 2, 8, 9), (6, 4, 15, 7)),  # reaches out of it
        ((2, 2, 12, 12), (3, 2, 13, 12)),  # a copy moved by a pixel
        ((2, 2, 12, 12), (4, 3, 14, 13)),
        ((4, 4, 9, 9), (8, 8, 9, 15)),  # thin, and mostly outside
    ],
)
def test_contours_that_overlap_in_part_are_one_area(one, other):
    inner = (5, 5, 7, 7)
    for contours in ([box(*one), box(*other)], [box(*other), box(*one)[::-1]]):
        done = combine(contours, SHAPE)
        assert np.array_equal(done.inside, area(one, other))
        assert (done.twice, done.joined, done.edging, done.crossing) == (0, 2, 0, 0)
    outer = (0, 0, 20, 20)
    done = combine([box(*outer), box(*one), box(*other)], SHAPE)
    assert np.array_equal(done.inside, area(outer) & ~area(one, other)), "a hole of two parts"
    if other[0] >= inner[2]:
        assert np.array_equal(combine([box(*one), box(*other), box(*inner)], SHAPE).inside[5:7, 5:7].any(), False)


def test_holes_and_islands_stay_what_they_are():
    boxes = [(1, 1, 19, 19), (3, 3, 17, 17), (5, 5, 15, 15), (3, 3, 5, 5)]
    done = combine([box(*b) for b in boxes], SHAPE)
    assert np.array_equal(done.inside, fill([box(*b) for b in boxes], SHAPE))
    assert (done.joined, done.edging) == (0, 0)
    thin = combine([box(0, 0, 8, 8), box(0, 0, 7, 8), box(0, 0, 8, 8)[::-1]], SHAPE)
    assert np.array_equal(thin.inside, area((7, 0, 8, 8)))
    assert thin.twice == 1


def test_a_hole_that_crosses_the_rim_by_a_pixel_is_a_hole():
    done = combine([box(2, 2, 18, 18), box(4, 4, 19, 16)], SHAPE)
    assert not done.inside[4:18, 4:16].any()
    assert done.inside[2:4, 2:18].all()
    assert (done.joined, done.edging) == (0, 1)


def test_contours_that_cross_themselves_or_go_round_twice():
    eight = np.array([(2, 2), (12, 12), (12, 2), (2, 12)], float)
    assert combine([eight], SHAPE).crossing == 1
    assert combine([np.concatenate([box(2, 2, 8, 8)] * 2)], SHAPE).crossing == 1
    assert combine([box(2, 2, 8, 8)], SHAPE).crossing == 0


def test_outside_and_empty():
    assert not combine([box(40, 40, 50, 50), box(-9, -9, -3, -3)], SHAPE).inside.any()
    assert combine([box(-1e9, -1e9, 1e9, 1e9)], SHAPE).inside.all()
    assert not combine([], SHAPE).inside.any()
    assert not combine([box(5, 5, 5.2, 5.2) + 0.6, box(5, 5, 9, 9)], SHAPE).inside[:5].any()


def test_thousands_of_specks_take_the_memory_of_the_slice():
    """Not that of every pair of them: 34,000 on a slice took more than 9 GB and 92 s."""
    corners = [(x, y) for x in range(0, 100, 2) for y in range(0, 100, 2)]
    specks = [box(x, y, x + 1, y + 1) for x, y in corners]
    tracemalloc.start()
    try:
        done = combine([*specks, specks[7][::-1]], (100, 100))
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert (done.inside.sum(), done.twice, done.joined) == (len(specks), 1, 0)
