"""Axes in a plane of the scan, against closed forms and brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseg.post.plane_axes import plane_axes


def test_an_ellipse_has_its_two_axes():
    x, y, z = np.meshgrid(*[np.arange(-40, 41)] * 3, indexing="ij")
    turned = (x + y) / np.sqrt(2), (y - x) / np.sqrt(2)
    mask = (turned[0] * 0.5 / 15) ** 2 + (turned[1] * 0.5 / 6) ** 2 + (z / 20) ** 2 <= 1
    axes = plane_axes(mask, np.diag([0.5, 0.5, 1.0]), 2)
    assert axes.long_mm == pytest.approx(30, abs=0.7)
    assert axes.short_mm == pytest.approx(12, abs=0.9)
    assert axes.plane[0] == 2
    assert abs(axes.plane[1] - 40) <= 1


def test_a_voxel_is_as_large_as_its_plane():
    mask = np.zeros((3, 4, 5), bool)
    mask[1, 2, 3] = True
    axes = plane_axes(mask, np.diag([2.0, 3.0, 7.0]), 2)
    assert axes.long_mm == pytest.approx(np.hypot(2, 3))
    assert axes.plane == (2, 3)
    assert np.mean(axes.ends, axis=0).tolist() == [1, 2, 3]


@settings(max_examples=40)
@given(arrays(bool, (4, 5, 2)), st.integers(0, 2))
def test_the_longest_is_that_of_all_pairs_of_corners(mask, axis):
    mask = mask.copy()
    mask[0, 0, 0] = True
    matrix = np.array([[1.1, 0.2, 0.0], [0.0, 0.9, 0.3], [0.1, 0.0, 2.0]])
    axes = plane_axes(mask, matrix, axis)
    across = [other for other in range(3) if other != axis]
    longest = 0.0
    for index in range(mask.shape[axis]):
        places = np.argwhere(np.take(mask, index, axis=axis))
        corners = [p + np.array([a, b]) for p in places for a in (-0.5, 0.5) for b in (-0.5, 0.5)]
        world = [matrix[:, across] @ corner for corner in corners]
        longest = max([longest, *(float(np.linalg.norm(p - q)) for p, q in combinations(world, 2))])
    assert axes.long_mm == pytest.approx(longest)
    assert 0 < axes.short_mm <= axes.long_mm + 1e-9
    first, last = (np.array(end) for end in axes.ends)
    assert np.linalg.norm(matrix @ (first - last)) == pytest.approx(longest)
