import numpy as np
import pytest

from medseg.errors import InputError
from medseg.evaluation.metrics.calibration import calibration_measures, reliability


def two_class(foreground):
    foreground = np.asarray(foreground, np.float32).reshape(-1, 1, 1)
    return np.stack([1 - foreground, foreground])


def measured(foreground, reference):
    return calibration_measures(*reliability(two_class(foreground), np.reshape(reference, (-1, 1, 1))))


def test_confident_and_right_is_perfect():
    assert measured([1, 1, 0, 0], [1, 1, 0, 0]) == {"ece": 0, "ece_foreground": 0}


def test_gap_between_confidence_and_accuracy():
    """Ten voxels at 0.8, five of them right: a gap of 0.3. Ten of background at 1, all right: none."""
    measures = measured([0.8] * 10 + [0.0] * 10, [1] * 5 + [0] * 15)
    assert measures == pytest.approx({"ece": 0.15, "ece_foreground": 0.3}, abs=1e-6)


def test_a_confidence_at_the_edge_of_two_bins_is_in_the_lower():
    """0.6 is 9/15, the upper end of the ninth bin (Guo et al.); 0.62 is in the tenth, so that the gaps add up."""
    assert measured([0.6, 0.62], [1, 0])["ece"] == pytest.approx((0.4 + 0.62) / 2, abs=1e-6)


def test_a_model_that_is_as_often_right_as_it_says():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 40000)
    assert measured(sure, (rng.random(40000) < sure).astype(int))["ece"] < 0.015


def test_pooling_two_cases_is_one_case_of_both():
    rng = np.random.default_rng(1)
    probabilities = two_class(rng.random(300))
    reference = rng.integers(0, 2, 300).reshape(-1, 1, 1)
    whole, _ = reliability(probabilities, reference)
    parts = [reliability(probabilities[:, s], reference[s])[0] for s in (slice(100), slice(100, None))]
    assert (parts[0] + parts[1]).ece == pytest.approx(whole.ece)


@pytest.mark.parametrize(
    ("probabilities", "words"), [(np.full((2, 2, 1, 1), 3.0), "probabilities"), (np.ones((2, 3, 1, 1)), "fit")]
)
def test_what_are_no_scores(probabilities, words):
    with pytest.raises(InputError, match=words):
        reliability(probabilities, np.zeros((2, 1, 1), int))
