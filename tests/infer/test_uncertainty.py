"""Uncertainty along borders, against one pair of neighbors after the other."""

import itertools
from unittest.mock import patch

import numpy as np
import pytest
from scipy.special import softmax

from medseg.infer.decision import Decision
from medseg.infer.uncertainty import BoundaryEntropy


def pair_by_pair(scores, decision, first_plane, first_row):
    shares = softmax(scores.astype(np.float64), axis=0)
    entropies = -(shares * np.log(shares)).sum(axis=0) / np.log(len(scores))
    outcome = scores.argmax(axis=0)
    found = {value: [] for value in decision.values[1:]}
    for voxel in itertools.product(*map(range, outcome.shape)):
        if voxel[1] < first_row or voxel[2] < first_plane:
            continue
        for axis in range(3):
            before = tuple(index - (a == axis) for a, index in enumerate(voxel))
            if before[axis] < 0 or outcome[before] == outcome[voxel]:
                continue
            for side in (outcome[before], outcome[voxel]):
                if side:
                    found[decision.values[side]].append(entropies[voxel])
    return {value: np.mean(every) for value, every in found.items() if every}


@pytest.mark.parametrize(("first_plane", "first_row"), [(0, 0), (3, 0), (0, 2), (1, 4)])
@pytest.mark.parametrize("at_a_time", [1, 1 << 17])
def test_every_pair_of_neighbors_counts_for_both_classes(first_plane, first_row, at_a_time):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, 9, 8, 7)).cumsum(axis=1).astype(np.float32)
    decision = Decision((0, 5, 2, 9))
    uncertainty = BoundaryEntropy(decision)
    with patch("medseg.infer.uncertainty.VOXELS", at_a_time):
        # As it comes: part of something larger.
        held = np.zeros((4, 11, 9, 12), dtype=np.float32)
        held[:, :9, 1:, 2:9] = scores
        part = held[:, :9, 1:, 2:9]
        uncertainty.add(part, decision.outcome(part), first_plane, first_row)
    assert uncertainty.by_value() == pytest.approx(pair_by_pair(scores, decision, first_plane, first_row), rel=1e-5)


def test_no_border_no_uncertainty():
    scores = np.zeros((2, 4, 4, 4), dtype=np.float32)
    uncertainty = BoundaryEntropy(Decision((0, 1)))
    uncertainty.add(scores, np.zeros((4, 4, 4), np.uint8), 0, 0)
    assert uncertainty.by_value() == {}
