"""Scores made of features where windows are added are those of the whole window."""

import numpy as np
import pytest

from medseg.infer.output_layer import scores_of_window
from medseg.infer.sliding_window import WindowOptions, stream_scores
from medseg.infer.window_sums import add_window


class Weighted:
    """A layer of 9 classes, whose scores are overwritten by the next call."""

    features = 4

    def __init__(self):
        self.weights = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
        self.kept = np.empty(0)

    def scores(self, features):
        self.kept[...] = np.nan
        self.kept = np.tensordot(self.weights, features, 1)
        return self.kept


@pytest.mark.parametrize("half", [False, True])
def test_plane_by_plane(half):
    random, layer = np.random.default_rng(2), Weighted()
    features, weights = random.normal(size=(4, 7, 6, 5)).astype(np.float32), random.random((7, 6, 5), np.float32)
    whole, parts = np.zeros((9, 9, 6, 5), np.float32), np.zeros((9, 9, 6, 5), np.float32)
    scores = np.tensordot(layer.weights, features, 1)
    np.testing.assert_allclose(scores_of_window(features, layer), scores, rtol=1e-5, atol=1e-6)
    add_window(whole, scores, weights, 1, 0, half=half)
    add_window(parts, features, weights, 1, 0, half=half, layer=layer)
    np.testing.assert_allclose(parts, whole, rtol=1e-3 if half else 1e-5, atol=1e-3 if half else 1e-5)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("rows", [None, slice(3, 9)])
def test_a_scan_has_the_same_scores(half, rows):
    layer, array = Weighted(), np.random.default_rng(3).normal(size=(1, 10, 12, 11)).astype(np.float32)
    options = WindowOptions((8, 8, 8), mirror=() if half else (0,), half=half)

    def features(windows):
        return np.concatenate([windows, windows**2, np.sin(windows), -windows], axis=1)

    def scores(windows):
        return np.stack([scores_of_window(one, layer) for one in features(windows)])

    whole = [slab.scores.copy() for slab in stream_scores(array, scores, 9, options, rows=rows)]
    apart = [slab.scores.copy() for slab in stream_scores(array, features, 9, options, rows=rows, output_layer=layer)]
    for one, other in zip(whole, apart, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-2 if half else 1e-5, atol=1e-2 if half else 1e-5)
