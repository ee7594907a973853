"""Contours and pixels: exact both ways."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.io.dicom_results.contours import fill, trace


@settings(max_examples=200)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_filling_what_was_traced_gives_the_mask_back(mask):
    assert np.array_equal(fill(trace(mask), mask.shape), mask)


def test_a_circle_covers_the_pixels_whose_centers_it_holds():
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    circle = np.stack([20.3 + 8.7 * np.cos(angles), 15.1 + 8.7 * np.sin(angles)], axis=1)
    x, y = np.mgrid[:40, :30]
    assert np.array_equal(fill([circle], (40, 30)), (x - 20.3) ** 2 + (y - 15.1) ** 2 < 8.7**2)


def test_inner_contours_are_holes_and_the_next_inner_ones_islands():
    squares = [np.array([(a, a), (b, a), (b, b), (a, b)]) for a, b in ((0.5, 9.5), (2.5, 7.5), (4.5, 5.5))]
    expected = np.zeros((11, 11), bool)
    expected[1:10, 1:10] = True
    expected[3:8, 3:8] = False
    expected[5, 5] = True
    assert np.array_equal(fill(squares, (11, 11)), expected)
    assert np.array_equal(fill([s[::-1] for s in squares], (11, 11)), expected)


def test_touching_contours_share_no_pixel_and_leave_none_out():
    """A center exactly on a common border belongs to one of the two."""
    left = np.array([(0, 0), (4, 0), (4, 8), (0, 8)])
    right = np.array([(4, 0), (8, 0), (8, 8), (4, 8)])
    both = fill([left], (9, 9)).astype(int) + fill([right], (9, 9))
    assert np.array_equal(both > 0, fill([np.array([(0, 0), (8, 0), (8, 8), (0, 8)])], (9, 9)))
    assert both.max() == 1


def test_what_sticks_out_is_cut_off():
    large = np.array([(-7.0, -9.0), (30.0, -9.0), (30.0, 30.0), (-7.0, 30.0)])
    assert fill([large], (4, 5)).all()
    assert not fill([large + 100], (4, 5)).any()


def test_holes_become_keyholes_of_one_polygon():
    ring = np.ones((7, 7), bool)
    ring[2:4, 2:4] = ring[5, 5] = False
    polygons = trace(ring)
    assert len(polygons) == 1
    assert np.array_equal(fill(polygons, ring.shape), ring)


def test_corners_on_straight_lines_are_dropped():
    block = np.zeros((30, 30), bool)
    block[3:20, 4:25] = True
    assert len(trace(block)[0]) == 8  # two at each corner
