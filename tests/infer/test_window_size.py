import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.infer.blend import windows_along
from medseg.infer.window_size import LARGEST, cheapest_window, overlap_of

PATCH, MULTIPLE = (32, 40, 32), (8, 8, 8)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((30, 36, 30), (32, 40, 32)),  # fits in the network's own window
        ((36, 50, 36), (40, 56, 40)),  # eight windows, or one a little larger
        ((182, 218, 182), (96, 120, 96)),  # eight windows in place of 448
    ],
)
def test_a_scan_is_covered_by_the_fewest_voxels(size, expected):
    assert cheapest_window(size, PATCH, MULTIPLE, 0.25, 10**9) == expected


def test_a_flat_network_keeps_its_slices():
    assert cheapest_window((256, 256, 20), (160, 160, 1), (16, 16, 0), 0.25, 10**9) == (256, 256, 1)


def test_memory_that_lacks_keeps_the_window_small():
    assert cheapest_window((182, 218, 182), PATCH, MULTIPLE, 0.25, math.prod(PATCH)) == PATCH


def shown(size, window, overlap):
    sides = zip(size, window, strict=True)
    return math.prod(window) * math.prod(len(windows_along(max(n, w), w, overlap).starts) for n, w in sides)


@given(st.tuples(*[st.integers(1, 400)] * 3), st.sampled_from([0.0, 0.25, 0.5]), st.integers(1, 10**7))
def test_never_more_than_the_networks_own_windows_nor_than_memory_holds(size, overlap, most):
    window = cheapest_window(size, PATCH, MULTIPLE, overlap, most)
    assert all(w >= p and w % m == 0 for w, p, m in zip(window, PATCH, MULTIPLE, strict=True))
    assert window == PATCH or math.prod(window) <= min(most, LARGEST * math.prod(PATCH))
    assert shown(size, window, overlap_of(window, PATCH, overlap)) <= shown(size, PATCH, overlap)


@given(st.tuples(*[st.integers(1, 20)] * 3), st.floats(0, 0.9))
def test_windows_overlap_by_as_many_voxels_as_the_networks_own_would(factors, overlap):
    window = tuple(p * f for p, f in zip(PATCH, factors, strict=True))
    shared = [overlap_of(window, PATCH, overlap) * side for side in window]
    assert all(n >= overlap * own - 1e-9 for n, own in zip(shared, PATCH, strict=True))
