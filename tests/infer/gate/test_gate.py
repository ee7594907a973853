"""The gate around a network: what is refused before it, turned copies, and results made anyway."""

import numpy as np
import pytest
from networks_for_tests import Analytic, FakePackage, tiny_card

from medseg.errors import NotForThisModel
from medseg.infer.gate.gate import segment_if_suitable
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.result_card import ResultCard
from medseg.prepare.acceptance import AcceptanceCard
from medseg.prepare.card import ChannelCard, InputCard, NormalizationCard
from medseg.types import Geometry, Scan

GRID = Geometry(np.eye(4), (16, 16, 16))
CHANNEL = ChannelCard(name="MR", modality="MR", normalization=NormalizationCard(scheme="none"))


def ramp(windows):
    """Certain of what lies above 0 where intensities rise along y, and uncertain where they fall."""
    value = windows[:, 0]
    rises = value[:, :, -1].mean() > value[:, :, 0].mean()
    logit = np.where(value > 0, 4.0, -4.0) * (1.0 if rises else 0.1)
    return np.stack([-logit / 2, logit / 2], axis=1).astype(np.float32)


def predictor(limit: float = 0.3, turned_axes: tuple[int, ...] = (1, 2), **accepts) -> Predictor:
    card = tiny_card(
        input=InputCard(
            channels=(CHANNEL,),
            patch=(16, 16, 16),
            spacing=(1.0, 1.0, 1.0),
            accepts=AcceptanceCard(purpose="a ramp", **accepts) if accepts else None,
        ),
        result=ResultCard(boundary_entropy=limit, turned_axes=turned_axes),
    )
    return Predictor(FakePackage(None, card), InferOptions(), engine=Analytic(ramp))


def scan(*flipped: int, modality: str = "MR") -> Scan:
    noise = np.random.default_rng(0).normal(0, 0.3, GRID.shape)
    array = np.linspace(-1, 1, 16)[None, :, None] + noise
    return Scan(np.flip(array, flipped)[np.newaxis].astype(np.float32), GRID, modality)


def test_a_suitable_scan_runs_the_network_once() -> None:
    model = predictor(dimensions=3)
    found = segment_if_suitable(model, scan())
    assert len(model.engine.batches) == 1
    assert found.warnings == () == found.notes
    assert found.model.mark == ""


def test_an_unsuitable_scan_never_reaches_the_network() -> None:
    model = predictor(dimensions=2)
    with pytest.raises(NotForThisModel, match="a volume of 16 x 16 x 16") as error:
        segment_if_suitable(model, scan())
    assert error.value.fix.startswith("Give a ramp; or add --anyway")
    assert model.engine.batches == []


def test_a_scan_turned_by_its_header_is_refused_with_the_directions_to_exchange() -> None:
    with pytest.raises(NotForThisModel, match="with front and back exchanged") as error:
        segment_if_suitable(predictor(dimensions=3), scan(1))
    assert "correct its header" in error.value.fix


def test_a_copy_that_is_far_more_certain_and_still_uncertain_is_warned_of() -> None:
    found = segment_if_suitable(predictor(limit=0.001, dimensions=3), scan(1))
    [warning] = found.warnings
    assert "with front and back exchanged the network is more certain" in warning


def test_a_network_that_knows_no_direction_runs_once_however_uncertain() -> None:
    model = predictor(turned_axes=(), dimensions=3)
    assert segment_if_suitable(model, scan(1)).warnings == ()
    assert len(model.engine.batches) == 1


def test_directions_are_those_of_the_patient_not_of_the_file() -> None:
    affine = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    stored = Scan(scan(1).array.transpose(0, 2, 3, 1), Geometry(affine, GRID.shape), "MR")
    with pytest.raises(NotForThisModel, match="with front and back exchanged"):
        segment_if_suitable(predictor(dimensions=3), stored)


def test_anyway_makes_it_and_marks_it() -> None:
    for wrong, reason in ((scan(modality="CT"), "the scan is CT"), (scan(1), "header seems to turn it")):
        found = segment_if_suitable(predictor(dimensions=3), wrong, anyway=True)
        assert found.warnings[0].startswith("Not what the model is for: ")
        assert reason in found.warnings[0]
        assert found.model.mark == "not what the model is for"
        assert found.expected.overridden == found.warnings[:1]


def test_a_card_that_states_nothing_is_named_in_one_note() -> None:
    found = segment_if_suitable(predictor(), scan())
    [note] = found.notes
    assert "does not state which scans it accepts" in note
