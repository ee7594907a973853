"""Scores made of features where windows are added are those of the whole window."""

import numpy as np
import pytest

from medseg.infer import window_sums
from medseg.infer.output_layer import OutputLayer
from medseg.infer.sliding_window import WindowOptions, stream_scores
from medseg.infer.window_sums import add_window


@pytest.fixture
def layer() -> OutputLayer:
    random = np.random.default_rng(0)
    return OutputLayer(random.normal(size=(9, 4)).astype(np.float32), random.normal(size=9).astype(np.float32))


def test_each_voxel_by_itself(layer):
    features = np.random.default_rng(1).normal(size=(4, 5, 3, 2)).astype(np.float32)
    expected = np.einsum("kf,fxyz->kxyz", layer.weights, features) + layer.bias[:, None, None, None]
    np.testing.assert_allclose(layer.scores(features), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_some_planes_at_a_time(layer, monkeypatch, half):
    random = np.random.default_rng(2)
    features = random.normal(size=(4, 7, 6, 5)).astype(np.float32)
    weights = random.random((7, 6, 5)).astype(np.float32)
    whole, parts = np.zeros((9, 9, 6, 5), np.float32), np.zeros((9, 9, 6, 5), np.float32)
    add_window(whole, layer.scores(features), weights, 1, 0, half=half)
    monkeypatch.setattr(window_sums, "MADE", 3 * 9 * 6 * 5)
    add_window(parts, features, weights, 1, 0, half=half, layer=layer)
    np.testing.assert_allclose(parts, whole, rtol=1e-3 if half else 1e-5, atol=1e-3 if half else 1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("rows", [None, slice(3, 9)])
def test_a_scan_has_the_same_scores(layer, half, rows):
    array = np.random.default_rng(3).normal(size=(1, 10, 12, 11)).astype(np.float32)
    options = WindowOptions((8, 8, 8), mirror=() if half else (0,), half=half)

    def features(windows):
        return np.concatenate([windows, windows**2, np.sin(windows), -windows], axis=1)

    def scores(windows):
        return np.stack([layer.scores(one) for one in features(windows)])

    whole = [slab.scores.copy() for slab in stream_scores(array, scores, 9, options, rows=rows)]
    apart = [slab.scores.copy() for slab in stream_scores(array, features, 9, options, rows=rows, output_layer=layer)]
    for one, other in zip(whole, apart, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-2 if half else 1e-5, atol=1e-2 if half else 1e-5)
