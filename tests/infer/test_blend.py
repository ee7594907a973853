import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.infer.blend import gaussian, windows_along


@given(st.integers(1, 80), st.integers(0, 300), st.floats(0, 0.95))
def test_weights_sum_to_1_everywhere(patch, more, overlap):
    size = patch + more
    windows = windows_along(size, patch, overlap)
    total = np.zeros(size)
    for start, weight in zip(windows.starts, windows.weights, strict=True):
        assert weight.min() > 0
        total[start : start + patch] += weight
    assert np.abs(total - 1).max() < 1e-6
    assert windows.starts[0] == 0
    assert windows.starts[-1] == more


@pytest.mark.parametrize(
    ("size", "patch", "overlap", "starts"),
    [
        (40, 40, 0.5, (0,)),
        (41, 40, 0.5, (0, 1)),
        (96, 32, 0.5, (0, 16, 32, 48, 64)),
        (97, 32, 0.5, (0, 13, 26, 39, 52, 65)),
        (64, 32, 0.0, (0, 32)),
        (65, 32, 0.0, (0, 16, 33)),
        (20, 10, 0.9, tuple(range(11))),
        (192, 96, 0.9, (0, 10, 19, 29, 38, 48, 58, 67, 77, 86, 96)),
        (12, 8, 0.9, (0, 1, 2, 3, 4)),
    ],
)
def test_starts_are_nnunets(size, patch, overlap, starts):
    """From compute_steps_for_sliding_window of nnU-Net 2; 16.5 is rounded to even, as numpy does."""
    assert windows_along(size, patch, overlap).starts == starts


def test_bell_is_nnunets():
    from scipy.ndimage import gaussian_filter

    for patch in (20, 33, 96, 128):
        delta = np.zeros(patch)
        delta[patch // 2] = 1
        expected = gaussian_filter(delta, patch / 8, mode="constant")
        assert np.allclose(gaussian(patch), expected / expected.max(), atol=1e-3)


def test_a_window_larger_than_its_axis_is_a_bug():
    with pytest.raises(ValueError, match="cannot hold"):
        windows_along(10, 11, 0.5)
