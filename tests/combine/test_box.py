"""Boxes around what was located, and their growth."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medseg.combine.box import box_around, crop, grown, touched
from medseg.types import Geometry, Scan
from medseg.types.box import Box

GRID = Geometry(np.diag([2.0, 1.0, 4.0, 1.0]), (10, 20, 6))
NONE = (False, False)


@given(st.data())
def test_the_smallest_box_on_a_finer_grid(data):
    labels = np.zeros((4, 5, 3), np.uint8)
    for _ in range(data.draw(st.integers(0, 4))):
        labels[tuple(data.draw(st.integers(0, n - 1)) for n in labels.shape)] = data.draw(st.integers(1, 3))
    back = tuple(np.repeat(np.arange(n), 2) for n in labels.shape)
    found = box_around(labels, [1, 3], back)
    fine = np.isin(labels, [1, 3]).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    if not fine.any():
        assert found is None
        return
    places = np.argwhere(fine)
    assert found == Box(tuple(places.min(axis=0)), tuple(places.max(axis=0) + 1))


def test_a_face_counts_where_it_is_not_the_edge_of_the_scan():
    box = Box((0, 4, 2), (5, 8, 6))
    labels = np.zeros(box.shape, np.uint8)
    labels[:, 0, 0] = 1
    labels[-1, 2, 1] = 2
    assert touched(labels, [1], box, GRID.shape) == ((False, True), (True, False), (True, False))
    assert touched(labels, [2], box, GRID.shape) == ((False, True), NONE, NONE)
    assert touched(labels, [3], box, GRID.shape) == (NONE, NONE, NONE)


def test_growth_in_mm_within_the_scan():
    box = Box((4, 4, 2), (5, 8, 4))
    assert grown(box, 4.0, GRID) == Box((2, 0, 1), (7, 12, 5))
    assert grown(box, 5.0, GRID, ((True, False), NONE, (False, True))) == Box((1, 4, 2), (5, 8, 6))
    assert grown(box, 1000.0, GRID) == Box.whole(GRID.shape)


def test_a_crop_lies_where_it_lay():
    scan = Scan(np.arange(1200, dtype=np.float32).reshape(1, *GRID.shape), GRID)
    assert crop(scan, Box.whole(GRID.shape)) is scan
    part = crop(scan, Box((1, 2, 3), (4, 5, 6)))
    assert part.array[0, 0, 0, 0] == scan.array[0, 1, 2, 3]
    assert np.allclose(part.geometry.to_world([[0, 0, 0]]), GRID.to_world([[1, 2, 3]]))
