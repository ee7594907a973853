"""V_rand and V_info of the ISBI 2012 challenge."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from objects_for_tests import label_map
from scipy.stats import entropy
from skimage.metrics import adapted_rand_error, variation_of_information

from medseg.evaluation.metrics.detection import count_overlaps
from medseg.evaluation.metrics.measure import measure_case, measure_instances
from medseg.evaluation.metrics.partition import membrane_measures, partition_measures
from medseg.evaluation.options import EvaluateOptions
from medseg.types import LabelTable

IDS = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(2, 12)), elements=st.integers(0, 4))


def measured(reference, prediction):
    return partition_measures(count_overlaps(np.array(reference), np.array(prediction)))


def test_by_hand():
    """Two objects of 3 and 1 voxels; the prediction moves a voxel of the first to the second."""
    found = measured([1, 1, 1, 2], [5, 5, 7, 7])
    assert found["v_rand"] == pytest.approx(2 * (4 + 1 + 1) / ((9 + 1) + (4 + 4)))
    of_reference, of_prediction, of_both = entropy([3, 1]), entropy([2, 2]), entropy([2, 1, 1])
    mutual = of_reference + of_prediction - of_both
    assert found["v_info"] == pytest.approx(2 * mutual / (of_reference + of_prediction))


def test_background_of_the_reference_does_not_count_and_that_of_the_prediction_is_one_object_a_voxel():
    found = measured([0, 0, 1, 1, 1, 1, 2, 2], [3, 0, 3, 3, 0, 0, 4, 4])
    assert found == pytest.approx(measured([1, 1, 1, 1, 2, 2], [3, 3, 8, 9, 4, 4]))
    assert found["v_rand"] == pytest.approx(2 * (4 + 1 + 1 + 4) / ((16 + 4) + (4 + 1 + 1 + 4)))


def test_the_same_partition_is_1_whatever_its_numbers_and_merging_everything_says_nothing():
    assert measured([1, 1, 2, 2, 0], [9, 9, 4, 4, 4]) == {"v_rand": 1, "v_info": pytest.approx(1)}
    assert measured([1, 1], [2, 2]) == {"v_rand": 1, "v_info": 1}
    merged = measured([1, 1, 2, 2], [3, 3, 3, 3])
    assert merged == {"v_rand": pytest.approx(2 * 8 / (8 + 16)), "v_info": 0}
    assert all(math.isnan(value) for value in measured([0, 0], [1, 0]).values())


@settings(max_examples=60)
@given(IDS.flatmap(lambda a: st.tuples(st.just(a), arrays(np.int32, a.shape, elements=st.integers(0, 4)))))
def test_against_scikit_image(pair):
    """Its pairs are of two voxels, and those of the challenge also of a voxel with itself."""
    reference, prediction = pair
    inside = reference > 0
    if not inside.any():
        return
    alone = prediction + np.where(prediction == 0, 10 + np.arange(prediction.size).reshape(prediction.shape), 0)
    found, n = measured(reference, prediction), int(inside.sum())
    sizes = [np.unique(side[inside], return_counts=True)[1].astype(float) for side in (reference, alone)]
    joint = np.unique(np.stack([reference[inside], alone[inside]]), axis=1, return_counts=True)[1].astype(float)
    pairs = [float((size**2 - size).sum()) for size in sizes]
    if all(pairs):
        error = adapted_rand_error(reference, alone, ignore_labels=(0,))[0]
        shared = (1 - error) * sum(pairs) / 2
        assert found["v_rand"] == pytest.approx(2 * (shared + n) / (sum(pairs) + 2 * n))
    assert found["v_rand"] == pytest.approx(2 * (joint**2).sum() / sum((size**2).sum() for size in sizes))
    split, merged = variation_of_information(reference[inside], alone[inside]) * np.log(2)
    entropies = [entropy(size) for size in sizes]
    if sum(entropies):
        assert found["v_info"] == pytest.approx(1 - (split + merged) / sum(entropies), abs=1e-9)


def grid(width):
    """Three cells side by side between membranes of a width."""
    mask = np.zeros((9, 30, 1), bool)
    for middle in (10, 20):
        mask[:, middle - width // 2 : middle + width // 2 + 1] = True
    return mask


def test_the_width_of_a_membrane_does_not_count_and_a_gap_does():
    reference = grid(3)
    for width in (1, 3, 7):
        assert membrane_measures(reference, grid(width)) == {"v_rand": pytest.approx(1), "v_info": pytest.approx(1)}
    gap = grid(3)
    gap[4, 18:23] = False
    # Of cells 9, 7 and 8 columns wide the last two are one.
    split, merged = 9**2 + 7**2 + 8**2, 9**2 + (7 + 8) ** 2
    assert membrane_measures(reference, gap)["v_rand"] == pytest.approx(2 * split / (split + merged))


def test_masks_without_membranes_and_without_cells():
    nothing, everything = np.zeros((6, 30, 1), bool), np.ones((6, 30, 1), bool)
    assert all(math.isnan(value) for value in membrane_measures(nothing, nothing).values())
    assert all(math.isnan(value) for value in membrane_measures(everything, nothing).values())
    whole = membrane_measures(nothing, everything)
    assert whole["v_rand"] == pytest.approx(2 * 180 / (180**2 + 180))
    assert membrane_measures(grid(3)[:6], nothing)["v_info"] == 0


def test_where_they_are_measured():
    maps = [label_map(mask.astype(np.uint8), table=LabelTable.unnamed([1])) for mask in (grid(3), grid(1))]
    options = EvaluateOptions(membranes=True)
    classes = {"membrane": (1,)}
    assert "v_rand" not in measure_case(*maps, classes).values["membrane"]
    assert measure_case(*maps, classes, options).values["membrane"]["v_rand"] == pytest.approx(1)
    numbered = measure_instances(*maps, options).values["all"]
    assert numbered["v_rand"] == measured(grid(3).astype(int), grid(1).astype(int))["v_rand"] < 1
