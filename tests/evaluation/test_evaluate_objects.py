"""Objects: matching, panoptic quality, lesions, FROC."""

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis.extra.numpy import arrays
from objects_for_tests import label_map
from scipy import ndimage

from medseg.evaluation.metrics.detection import Overlaps, components, count_overlaps, detection_measures, match
from medseg.evaluation.metrics.froc import Candidates, candidates, froc, object_probabilities
from medseg.evaluation.metrics.lesions import lesion_measures, matched_lesion_measures
from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.types import LabelTable

shapes = st.tuples(*[st.integers(1, 8)] * 3)
masks = shapes.flatmap(lambda s: st.tuples(arrays(bool, s), arrays(bool, s)))


def plain_overlaps(a, b):
    """Sizes and shared voxels, pair by pair."""
    ids_a, ids_b = (sorted(set(m.ravel().tolist()) - {0}) for m in (a, b))
    shared = {
        (i, j): int(((a == x) & (b == y)).sum())
        for (i, x), (j, y) in itertools.product(enumerate(ids_a), enumerate(ids_b))
    }
    return [int((a == x).sum()) for x in ids_a], [int((b == x).sum()) for x in ids_b], shared


@settings(max_examples=60)
@given(
    shapes.flatmap(lambda s: st.tuples(*[arrays(np.int32, s, elements=st.sampled_from([0, 0, 1, 5, 70000]))] * 2)),
    st.sampled_from("CF"),
)
def test_overlaps_are_counted_pair_by_pair(pair, order):
    found = count_overlaps(pair[0], np.asarray(pair[1], order=order))
    sizes_a, sizes_b, shared = plain_overlaps(*pair)
    assert found.reference_sizes.tolist() == sizes_a
    assert found.prediction_sizes.tolist() == sizes_b
    got = {tuple(p): s for p, s in zip(found.pairs.tolist(), found.shared.tolist(), strict=True)}
    assert got == {key: count for key, count in shared.items() if count}


@settings(max_examples=80)
@given(masks, st.sampled_from([0.05, 0.2, 0.35, 0.5, 0.8]))
def test_matching_is_the_best_there_is(pair, threshold):
    """Against every one-to-one assignment of a handful of objects."""
    a, b = (components(m) for m in pair)
    overlaps = count_overlaps(np.where(a <= 4, a, 0), np.where(b <= 4, b, 0))
    chosen = match(overlaps, threshold)
    picked = overlaps.pairs[chosen]
    assert len(set(picked[:, 0].tolist())) == len(set(picked[:, 1].tolist())) == len(chosen)
    good = [k for k in range(len(overlaps.pairs)) if overlaps.iou[k] >= threshold - 1e-9]
    best = (0, 0.0)
    for size in range(min(4, len(good)), 0, -1):
        for some in itertools.combinations(good, size):
            pairs = overlaps.pairs[list(some)]
            if len(set(pairs[:, 0].tolist())) == len(set(pairs[:, 1].tolist())) == size:
                best = max(best, (size, float(overlaps.iou[list(some)].sum())))
    assert (len(chosen), float(overlaps.iou[chosen].sum())) == pytest.approx(best)


def overlaps_of(sizes_a, sizes_b, shared):
    pairs = np.array(list(shared), np.int64).reshape(-1, 2)
    return Overlaps(np.array(sizes_a), np.array(sizes_b), pairs, np.array(list(shared.values()), np.int64))


def test_panoptic_quality_in_closed_form():
    """Three reference objects, three predicted: one fits at 0.8, one at 0.6, one at 0.4 of IoU."""
    found = overlaps_of([9, 8, 7], [9, 8, 7], {(0, 0): 8, (1, 1): 6, (2, 2): 4})
    assert found.iou.tolist() == [0.8, 0.6, 0.4]
    measures = detection_measures(found, (0.5, 0.7))
    assert measures["sq"] == pytest.approx(0.7)
    assert measures["rq"] == measures["f1@0.5"] == pytest.approx(2 / 3)
    assert measures["pq"] == pytest.approx(1.4 / 3)
    assert measures["ap@0.5"] == pytest.approx(2 / 4)
    assert measures["f1@0.7"] == pytest.approx(1 / 3)
    assert measures["ap@0.7"] == pytest.approx(1 / 5)
    # At 0.5, 0.55 and 0.6 two objects match, up to 0.8 one, above none.
    assert measures["ap@0.5:0.95"] == pytest.approx((3 * 2 / 4 + 4 * 1 / 5) / 10)
    assert (measures["objects_reference"], measures["objects_prediction"], measures["objects_matched"]) == (3, 3, 2)


def test_an_iou_of_exactly_the_threshold_is_a_match_and_matches_once():
    measures = detection_measures(overlaps_of([10], [5, 5], {(0, 0): 5, (0, 1): 5}))
    assert (measures["objects_matched"], measures["sq"]) == (1, 0.5)


def test_sq_without_a_match_is_undefined_and_pq_zero():
    measures = detection_measures(overlaps_of([4], [4], {}))
    assert math.isnan(measures["sq"])
    assert (measures["pq"], measures["rq"], measures["ap@0.5"]) == (0, 0, 0)


@pytest.mark.parametrize(("neighbors", "count"), [("corners", 1), ("faces", 2)])
def test_voxels_that_share_a_corner(neighbors, count):
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert components(mask, neighbors).max() == count


def test_components_of_the_densest_patterns():
    """Isolated voxels on every second place of grids of odd size, which cc3d 4.1 alone refuses."""
    for shape in itertools.product((1, 3, 5, 6), repeat=3):
        mask = np.zeros(shape, bool)
        mask[::2, ::2, ::2] = True
        assert components(mask).max() == mask.sum()


def brats_rule(reference, prediction, voxel_volume, dilation, minimum):
    """The rule as the challenge states it, lesion by lesion (Saluja et al.; own wording)."""
    corners, edges = np.ones((3, 3, 3)), ndimage.generate_binary_structure(3, 2)

    def grow(mask):
        return ndimage.binary_dilation(mask, edges, iterations=dilation) if dilation else mask

    grown, count = ndimage.label(grow(reference), corners)
    found, predicted = ndimage.label(prediction, corners)
    scores, hits, misses, claimed = [], 0, 0, set()
    for number in range(1, count + 1):
        lesion = reference & (grown == number)
        mine = set(found[grow(lesion)].tolist()) - {0}
        claimed |= mine
        if lesion.sum() * voxel_volume <= minimum:
            continue
        whole = np.isin(found, list(mine)) if mine else np.zeros_like(prediction)
        scores.append(2 * (whole & lesion).sum() / (whole.sum() + lesion.sum()))
        hits, misses = hits + bool(mine), misses + (not mine)
    false = predicted - len(claimed)
    mean = sum(scores) / (len(scores) + false) if len(scores) + false else math.nan
    return {"lesion_dice": mean, "lesion_tp": hits, "lesion_fp": false, "lesion_fn": misses}


@settings(max_examples=80)
@given(masks, st.sampled_from([0, 1, 3]), st.sampled_from([0.0, 2.0, 9.0]), st.floats(0.2, 0.95))
def test_lesions_by_the_rule_of_brats(pair, dilation, minimum, sparse):
    rng = np.random.default_rng(1)
    reference, prediction = (m & (rng.random(m.shape) > sparse) for m in pair)
    got = lesion_measures(reference, prediction, 1.5, dilation=dilation, minimum_mm3=minimum)
    assert got == pytest.approx(brats_rule(reference, prediction, 1.5, dilation, minimum), nan_ok=True)


def test_lesions_in_closed_form():
    reference, prediction = np.zeros((2, 40, 40, 40), bool)
    reference[2:7, 2:7, 2:7] = True  # 125 voxels, found but for one layer
    prediction[2:7, 2:7, 2:6] = True
    reference[20:25, 20:25, 20:25] = True  # missed
    reference[35:37, 35:37, 35:37] = True  # 8 mm³: too small to count, and so is what touches it
    prediction[35, 35, 35] = True
    prediction[2, 35, 35] = True  # a false alarm
    got = lesion_measures(reference, prediction, 1.0)
    assert got["lesion_dice"] == pytest.approx((2 * 100 / 225 + 0) / 3)
    assert (got["lesion_tp"], got["lesion_fn"], got["lesion_fp"]) == (1, 1, 1)


def best_sum_of_dice(a, b, n, m):
    """Every assignment of numbered objects tried: the largest sum of Dice."""
    objects = itertools.product((a == i for i in range(1, n + 1)), [b == j for j in range(1, m + 1)])
    dice = np.reshape([2 * (one & other).sum() / (one.sum() + other.sum()) for one, other in objects], (n, m))
    small = dice if n <= m else dice.T
    orders = itertools.permutations(range(max(n, m)), min(n, m))
    return max(sum(small[i, j] for i, j in enumerate(order)) for order in orders)


@settings(max_examples=60)
@given(masks, st.floats(0.3, 0.9))
def test_lesions_in_pairs_have_the_largest_sum_of_dice(pair, sparse):
    rng = np.random.default_rng(2)
    reference, prediction = (m & (rng.random(m.shape) > sparse) for m in pair)
    (a, n), (b, m) = (ndimage.label(mask, np.ones((3, 3, 3))) for mask in (reference, prediction))
    assume(max(n, m) <= 6)
    best = best_sum_of_dice(a, b, n, m)
    got = matched_lesion_measures(reference, prediction)
    assert (got["lesion_tp"] + got["lesion_fn"], got["lesion_tp"] + got["lesion_fp"]) == (n, m)
    if got["lesion_tp"]:
        assert got["lesion_dice"] * got["lesion_tp"] == pytest.approx(best)
    else:
        assert best == 0
        assert got["lesion_dice"] == 0 if n + m else math.isnan(got["lesion_dice"])


def test_the_option_names_the_rule():
    reference, prediction = np.zeros((2, 20, 20, 20), np.uint8)
    reference[2:8, 2:8, 2:8] = prediction[2:8, 2:8, 2:8] = prediction[15:18, 15:18, 15:18] = 1  # and a false alarm
    maps = [label_map(array, table=LabelTable.unnamed([1])) for array in (reference, prediction)]
    for rule, dice in (("dilated", 0.5), ("matched", 1.0)):
        found = measure_case(*maps, {"a": (1,)}, EvaluateOptions(lesions={"rule": rule})).values["a"]
        assert (found["lesion_dice"], found["lesion_fp"]) == (dice, 1)


def test_froc_in_closed_form():
    first = Candidates(2, np.array([0, -1, 0]), np.array([0.9, 0.8, 0.3]))  # the third hits what is already hit
    second = Candidates(2, np.array([-1, 1]), np.array([0.95, 0.5]))
    curve = froc([first, second])
    assert curve.false_positives.tolist() == [0, 0.5, 0.5, 1, 1, 1]
    assert curve.sensitivity.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5]
    assert curve.at_rates == {0.125: 0, 0.25: 0, 0.5: 0.25, 1.0: 0.5, 2.0: 0.5, 4.0: 0.5, 8.0: 0.5}
    assert froc([Candidates(0, np.array([-1]), np.array([0.9]))]) is None


def test_froc_lets_equal_probabilities_in_together():
    curve = froc([Candidates(1, np.array([-1, 0]), np.array([0.5, 0.5]))])
    assert curve.false_positives.tolist() == [0, 1]
    assert curve.sensitivity.tolist() == [0, 1]


def test_a_candidate_hits_what_it_overlaps_best():
    ids = np.array([[[1, 1, 1, 1, 2, 2, 0, 3]]])
    predicted = np.array([[[0, 0, 1, 1, 1, 1, 0, 0]]])
    overlaps = count_overlaps(ids, predicted)
    found = candidates(overlaps, object_probabilities(predicted, np.full(ids.shape, 0.25), 1))
    assert found.hits.tolist() == [1]
    assert found.probabilities.tolist() == [0.25]
    assert candidates(overlaps, found.probabilities, minimum_iou=0.6).hits.tolist() == [-1]
