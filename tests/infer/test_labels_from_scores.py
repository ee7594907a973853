import itertools
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.errors import ModelError
from medseg.infer.axis_map import AxisMap
from medseg.infer.decision import Decision
from medseg.infer.labels_from_scores import LabelStream
from medseg.infer.sliding_window import Slab
from medseg.prepare.resample import resample


def check(labels, scores, decision, separate=None):
    """The definition, but for ties: every class on the scan's grid, then the decision."""
    target = labels.shape
    finer = np.stack([resample(np.ascontiguousarray(s), target, 1, separate) for s in scores.astype(np.float32)])
    if decision.regions:
        outcome = np.zeros(target, int)
        for index, score in enumerate(finer):
            outcome[score > 0] = index + 1
        top = -np.abs(finer)
    else:
        outcome, top = finer.argmax(axis=0), np.sort(finer, axis=0)
    near = np.abs(finer).min(axis=0) if decision.regions else top[-1] - top[-2] if len(finer) > 1 else np.ones(target)
    clear = near >= 1e-5
    assert np.array_equal(labels[clear], np.array(decision.values)[outcome][clear])


def stream(scores, target, decision, separate=None, padding=((0, 0),) * 3, cuts=()):
    size = [n - a - b for n, (a, b) in zip(scores.shape[1:], padding, strict=True)]
    maps = [AxisMap.between(n, t, nearest=a == separate) for a, (n, t) in enumerate(zip(size, target, strict=True))]
    out = np.full(target, 99, np.uint16)
    labels = LabelStream(maps, tuple(a for a, _ in padding), decision, out)
    edges = [0, *cuts, scores.shape[3]]
    for begin, end in itertools.pairwise(edges):
        first = max(0, begin - 1)
        labels.add(Slab(scores[..., first:end], first))
    assert labels.complete
    return out, labels


SIZE = st.integers(1, 9)


@settings(max_examples=150)
@given(
    st.tuples(SIZE, SIZE, SIZE),
    st.tuples(*[st.integers(1, 21)] * 3),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([None, 0, 1, 2]),
    st.booleans(),
    st.sampled_from([-100, 50, 10**6]),
    st.data(),
)
def test_equals_dense_interpolation_but_for_ties(size, target, classes, separate, regions, even_at_half, data):
    """Whether only voxels between corners that disagree are interpolated, as shares decide, or every one."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    # Smooth scores, so that cells with one winner and cells with several both occur.
    scores = rng.normal(size=(classes, *size)).cumsum(axis=1).cumsum(axis=2).astype(np.float32)
    values = (0, *(rng.permutation(np.arange(1, 40))[: classes - (not regions)]).tolist())
    decision = Decision(tuple(int(v) for v in values), regions)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, size[2] - 1)), max_size=3)) if size[2] > 1 else ())
    # Blocks of a few planes, and pieces of a few rows, so that there are several of each.
    small = {"BLOCK": 200, "EVEN_AT_HALF": even_at_half}
    with patch.multiple("medseg.infer.labels_from_scores", **small), patch("medseg.infer.planes.TILE", 100):
        got, _ = stream(scores, target, decision, separate, cuts=cuts)
    check(got, scores, decision, separate)


def test_only_the_shell_around_borders_is_interpolated():
    x, y, z = np.indices((60, 60, 60))
    inside = 8 - np.sqrt((x - 30) ** 2 + (y - 29) ** 2 + (z - 28) ** 2)
    scores = np.stack([-inside, inside]).astype(np.float32)
    got, labels = stream(scores, (120, 130, 140), Decision((0, 1)), cuts=(23, 30))
    check(got, scores, Decision((0, 1)))
    assert 0 < labels.interpolated < 0.01 * got.size


def test_an_uncertain_network_has_every_voxel_interpolated():
    scores = np.random.default_rng(0).normal(size=(3, 30, 30, 30)).astype(np.float32)
    got, labels = stream(scores, (50, 50, 50), Decision((0, 1, 2)))
    check(got, scores, Decision((0, 1, 2)))
    assert labels.interpolated == got.size


def test_padding_is_skipped():
    rng = np.random.default_rng(0)
    inner = rng.normal(size=(3, 6, 7, 8)).astype(np.float32)
    padding = ((2, 1), (0, 3), (4, 5))
    padded = np.pad(inner, ((0, 0), *padding), constant_values=9)
    decision = Decision((0, 1, 2))
    assert np.array_equal(
        stream(padded, (9, 9, 9), decision, padding=padding)[0], stream(inner, (9, 9, 9), decision)[0]
    )


def test_same_grid_needs_no_interpolation():
    scores = np.random.default_rng(0).normal(size=(4, 6, 7, 8)).astype(np.float32)
    got, labels = stream(scores, (6, 7, 8), Decision((0, 1, 2, 3)), cuts=(3,))
    assert np.array_equal(got, scores.argmax(axis=0))
    assert labels.interpolated == 0


def test_more_classes_than_a_byte_holds():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, 4, 4, 4)).astype(np.float32)
    decision = Decision(tuple(range(300)))
    got, _ = stream(scores, (7, 7, 7), decision)
    check(got, scores, decision)


@pytest.mark.parametrize("regions", [False, True])
def test_a_score_that_is_no_number_is_an_error(regions):
    scores = np.zeros((2, 4, 4, 4), np.float32)
    scores[1, 2, 2, 2] = np.nan
    with pytest.raises(ModelError, match="not numbers"):
        stream(scores, (4, 4, 4), Decision((0, 1, 2) if regions else (0, 1), regions))


def test_a_region_is_present_above_one_half():
    """As a probability; as a score, before the sigmoid, above 0."""
    shares = np.array([[0.45, 0.5, 0.501, 0.9]], np.float32)
    assert Decision((0, 1), True, "probabilities", "probabilities").outcome(shares).tolist() == [0, 0, 1, 1]
    scores = np.array([[-0.1, 0.0, 0.001, 5.0]], np.float32)
    assert Decision((0, 1), True).outcome(scores).tolist() == [0, 0, 1, 1]


def test_equal_scores_go_to_the_lower_class():
    assert Decision((0, 1, 2)).outcome(np.zeros((3, 2, 2, 2), np.float32)).max() == 0


def test_regions_the_last_present_wins():
    decision = Decision((0, 5, 3), regions=True)
    scores = np.array([[-1, 2, 2, -1], [-1, -1, 1, 1]], np.float32)
    assert np.array(decision.values)[decision.outcome(scores)].tolist() == [0, 5, 3, 3]
    assert decision.channels == 2
