"""A result that no scan the model is for has, by what the card states of results."""

from dataclasses import replace

import numpy as np
import pytest

from medseg.errors import NotForThisModel
from medseg.infer.gate.refusal import MARK
from medseg.infer.gate.result import mean_boundary_entropy, refuse_result
from medseg.post.quality import USELESS, check_or_withhold, check_quality
from medseg.post.volumes import measure_volumes
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity, Prediction
from medseg.types.expected_result import ExpectedResult
from medseg.types.prediction import ClassUncertainty

GRID = Geometry(np.eye(4), (30, 30, 30))
TABLE = LabelTable((LabelClass(1, "organ"),))
EXPECTED = ExpectedResult({"organ": 1}, ("organ",), 1.5, 0.3, False, "Give another scan.")
RANGES = {"organ": (0.5, 2.0)}


def one_organ() -> np.ndarray:
    array = np.zeros(GRID.shape, np.uint8)
    array[10:20, 10:20, 10:20] = 1
    return array


def predicted(array: np.ndarray, entropy: float | None = 0.2, **expected) -> Prediction:
    return Prediction(
        LabelMap(array, GRID, TABLE),
        ModelIdentity("m", "1", "0" * 64),
        volume_range_ml=RANGES,
        uncertainty={1: ClassUncertainty(entropy)},
        expected=replace(EXPECTED, **expected),
    )


def why(prediction: Prediction) -> str | None:
    volumes = measure_volumes(prediction.labels)
    refused = refuse_result(prediction, volumes, check_quality(prediction, volumes).rows)
    return None if refused is None else refused.reason


def pieces(count: int) -> np.ndarray:
    array = one_organ()
    for number in range(count):
        array[0, 3 * (number % 10), 4 * (number // 10)] = 1
    return array


def test_an_ordinary_result_passes_and_so_does_one_of_a_card_that_states_nothing() -> None:
    assert why(predicted(one_organ())) is None
    assert why(replace(predicted(pieces(20), 0.9), expected=None)) is None
    assert why(replace(predicted(np.zeros(GRID.shape, np.uint8), None), expected=ExpectedResult())) is None


def test_a_class_that_every_scan_shows_must_be_there() -> None:
    assert "no organ was found" in why(predicted(np.zeros(GRID.shape, np.uint8), None))
    assert why(predicted(np.zeros(GRID.shape, np.uint8), None, always_present=())) is None


def test_a_dozen_components_of_what_is_one_are_too_many() -> None:
    assert why(predicted(pieces(10))) is None
    assert "found in 12 connected components; the training data has 1 at most" in why(predicted(pieces(11)))
    assert why(predicted(pieces(11), n_components={"organ": 2})) is None


@pytest.mark.parametrize(("outside", "size", "refused"), [(True, 24, True), (False, 24, False), (True, 14, False)])
def test_a_volume_beyond_the_range_counts_together_with_the_field_of_view(outside, size, refused) -> None:
    array = np.zeros(GRID.shape, np.uint8)
    array[3 : 3 + size, 3 : 3 + size, 3 : 3 + size] = 1
    assert (why(predicted(array, outside_extent=outside)) is not None) is refused


@pytest.mark.parametrize(
    ("entropy", "odd", "refused"),
    [(0.31, True, False), (0.33, False, False), (0.34, True, True), (0.37, False, True), (None, True, False)],
)
def test_uncertainty_alone_must_be_far_above_the_limit_and_less_so_with_an_odd_shape(entropy, odd, refused) -> None:
    array = one_organ()
    if odd:  # two signs: in pieces, and at the edge
        array[0, :15, :15] = 1
    assert (why(predicted(array, entropy)) is not None) is refused


def test_the_entropy_is_the_mean_over_classes() -> None:
    both = replace(predicted(one_organ()), uncertainty={1: ClassUncertainty(0.2), 2: ClassUncertainty(0.4)})
    assert mean_boundary_entropy(both) == pytest.approx(0.3)
    assert mean_boundary_entropy(replace(both, uncertainty={})) is None


def test_a_refused_result_is_raised_or_marked_on_every_file() -> None:
    uncertain = predicted(one_organ(), 0.5)
    volumes = measure_volumes(uncertain.labels)
    with pytest.raises(NotForThisModel, match="far less certain") as error:
        check_or_withhold(uncertain, volumes)
    assert error.value.fix == "Give another scan."
    marked = check_or_withhold(replace(uncertain, expected=replace(EXPECTED, anyway=True)), volumes)
    assert marked.mark == MARK
    assert marked.flags[0].weight == USELESS
    assert marked.flags[0].text.startswith("Not what the model is for: the network is far less certain")
