"""The temperature of probabilities: found where it is known, kept only where it helps, and no label changes."""

from types import SimpleNamespace

import numpy as np
import pytest
from objects_for_tests import label_map

from medseg.evaluation.metrics.calibration import reliability, weighted_ece
from medseg.infer.decision import Decision
from medseg.models.calibration_card import LARGEST_TEMPERATURE
from medseg.training.selection import temperature as module
from medseg.training.selection.temperature import Sample, applies_to, calibration, fit_temperature, sample
from medseg.types import LabelClass, LabelTable

DATA = SimpleNamespace(ignore_label=None, reference_values=lambda value: {1: (1, 2), 2: (2,)}[value])


def CARD(table, regions=None):  # noqa: N802
    return SimpleNamespace(table=table, regions=regions)


def drawn(temperature, seed, n=20_000, classes=3):
    """Logits, and classes drawn with the probabilities that dividing by the temperature gives."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 4, (n, classes))
    p = np.exp(logits / temperature)
    p /= p.sum(axis=1, keepdims=True)
    truth = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return Sample(logits, truth, np.ones(n))


@pytest.mark.parametrize("known", [0.5, 1.0, 2.2])
def test_the_temperature_by_which_classes_were_drawn_is_found(known):
    assert fit_temperature([drawn(known, seed) for seed in range(2)]) == pytest.approx(known, rel=0.05)


def test_what_lies_beyond_the_bounds_is_the_bound():
    assert fit_temperature([drawn(40.0, 0)]) == LARGEST_TEMPERATURE


def test_it_is_kept_where_it_helps_on_other_cases_and_only_there():
    too_sure = [drawn(2.0, seed) for seed in range(4)]
    found = calibration(too_sure[::2], too_sure[1::2])
    assert found.nll_after < found.nll_before
    assert found.ece_after < found.ece_before / 3
    assert (found.cases_fitted, found.cases_checked) == (2, 2)
    assert calibration(too_sure, [drawn(0.6, 9)]) is None
    assert calibration(too_sure, []) is None


def test_voxels_stand_for_those_of_their_kind(monkeypatch):
    """Few voxels chosen at random have the likelihood and the calibration error of all."""
    monkeypatch.setattr(module, "VOXELS", 4000)
    rng = np.random.default_rng(0)
    table = LabelTable((LabelClass(3, "b"), LabelClass(1, "a")))
    values = np.array([0, *(entry.value for entry in table)])
    scores = rng.normal(0, 1, (3, 50, 40, 20)) * np.where(rng.random((50, 40, 20)) < 0.8, 20, 2)
    p = np.exp(scores - scores.max(axis=0)).astype(np.float32)
    p /= p.sum(axis=0)
    place = (p.cumsum(axis=0) < rng.random((1, 50, 40, 20))).sum(axis=0).clip(0, 2)
    reference = label_map(values[place], table=table)
    found = sample(p, reference, CARD(table), DATA, 0)
    assert len(found.truth) == 8000
    assert found.weights.sum() == pytest.approx(p[0].size)
    all_nll = -np.log(np.maximum(np.take_along_axis(p, place[None], axis=0), 1e-7)).mean()
    assert module._nll(found, 1.0) == pytest.approx(all_nll, rel=0.1)
    everywhere, _ = reliability(p, place)
    assert weighted_ece(
        p.max(axis=0).ravel(), (p.argmax(axis=0) == place).ravel(), np.ones(place.size)
    ) == pytest.approx(everywhere.ece)
    ignored = sample(p, reference, CARD(table), SimpleNamespace(ignore_label=3), 0)
    assert ignored.weights.sum() == pytest.approx((reference.array != 3).sum())


def test_probabilities_change_and_outcomes_do_not():
    scores = np.random.default_rng(0).normal(0, 3, (4, 6, 5, 4)).astype(np.float32)
    plain, warm = Decision((0, 1, 2, 3)), Decision((0, 1, 2, 3), temperature=2.0)
    assert np.array_equal(plain.outcome(scores), warm.outcome(scores))
    expected = np.exp(scores / 2) / np.exp(scores / 2).sum(axis=0)
    assert warm.probabilities(scores) == pytest.approx(expected, rel=1e-5)
    assert not np.allclose(plain.probabilities(scores), expected, atol=0.05)
    assert np.array_equal(warm.probabilities(scores).argmax(axis=0), plain.probabilities(scores).argmax(axis=0))
    as_they_are = Decision((0, 1, 2, 3), output="probabilities", interpolated="probabilities", temperature=2.0)
    assert as_they_are.probabilities(scores) is scores


@pytest.mark.parametrize(
    ("regions", "output", "interpolated", "post", "applies"),
    [
        (None, "logits", "logits", "components", True),
        (None, "logits", "logits", "border", False),
        ((1, 2), "logits", "logits", "components", True),
        (None, "logits", "probabilities", "components", False),
        (None, "probabilities", "logits", "components", False),
    ],
)
def test_which_models_have_one(regions, output, interpolated, post, applies):
    card = SimpleNamespace(
        regions=regions,
        network=SimpleNamespace(output=output),
        interpolated=interpolated,
        post=(SimpleNamespace(stage=post),),
    )
    assert applies_to(card) is applies


def test_regions_that_may_overlap_have_one_too():
    """Drawn region by region with a known temperature; the second lies inside the first."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (2, 40, 40, 20))
    inside = rng.random(logits.shape) < 1 / (1 + np.exp(-logits / 2))
    array = np.where(inside[0] & inside[1], 2, np.where(inside[0], 1, 0))
    logits[1] = np.where(inside[0], logits[1], -30)
    reference = label_map(array, table=LabelTable((LabelClass(1, "whole"), LabelClass(2, "core"))))
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    found = sample(probabilities, reference, CARD(reference.table, (1, 2)), DATA, 0)
    assert found.truth.shape == found.logits.shape
    assert fit_temperature([found]) == pytest.approx(2.0, rel=0.06)
    checked = calibration([found], [found])
    assert checked.ece_after < checked.ece_before / 3
    plain, warm = Decision((0, 1, 2), True), Decision((0, 1, 2), True, temperature=2.0)
    scores = logits.astype(np.float32)
    assert np.array_equal(plain.outcome(scores), warm.outcome(scores))
    assert warm.probabilities(scores) == pytest.approx(1 / (1 + np.exp(-scores / 2)), abs=1e-5)
