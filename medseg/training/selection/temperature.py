"""Fits the temperature of a model's probabilities on held-out cases, and keeps it where it helps on others.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017: one number that all logits are divided by. The largest
stays the largest, so that no label changes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
import numpy.typing as npt
import torch

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_case
from medseg.evaluation.metrics.calibration import weighted_ece
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.files.scratch import Scratch
from medseg.models.calibration_card import LARGEST_TEMPERATURE, LEAST_TEMPERATURE, CalibrationCard
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage, write_card
from medseg.training.samples.inputs import Inputs
from medseg.types import LabelMap

# One number needs few cases: so many to fit it, and as many others to check it.
MOST_CASES = 6
# Of each case, voxels that the network is sure of, and voxels that it is not; each stands for those of its kind.
VOXELS, SURE = 20_000, 0.99
# What a probability is at least, so that its logarithm exists; float16 holds no smaller one.
LEAST = 1e-7

log = logging.getLogger("medseg.train")


@dataclass(frozen=True, eq=False)
class Sample:
    """Voxels of a case: logits up to a constant (voxels, classes), the reference's class, and what each stands for."""

    logits: npt.NDArray[np.float64]
    truth: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]


def calibrated(package: ModelPackage, inputs: Inputs) -> ModelPackage:
    """Write the temperature into the card of a trained package, where held-out cases show that it helps.

    Not for regions that may overlap, for probabilities that are interpolated as such, nor where objects are made along
    the valleys of probabilities.
    """
    if not applies_to(package.card) or len(inputs.held_out) < 2:
        return package
    chosen = inputs.held_out[: 2 * MOST_CASES]
    samples = _samples(package, inputs.run.dataset, chosen, str(inputs.run.device), inputs)
    found = calibration(samples[::2], samples[1::2])
    if found is None:
        log.info("No temperature makes the probabilities better on held-out cases.")
        return package
    log.info(
        "Probabilities are calibrated with temperature %.3f: expected calibration error %.4f to %.4f on %d cases.",
        *(found.temperature, found.ece_before, found.ece_after, found.cases_checked),
    )
    return write_card(package.folder, package.card.model_copy(update={"calibration": found}))


def applies_to(card: ModelCard) -> bool:
    """Whether probabilities of such a model come from the softmax of interpolated logits, and no object from them."""
    exclusive = card.regions is None and card.network.output == card.interpolated == "logits"
    return exclusive and all(step.stage != "border" for step in card.post)


def calibration(fitted: Sequence[Sample], checked: Sequence[Sample]) -> CalibrationCard | None:
    """Fit on some cases; None where the likelihood of the others is not higher with it."""
    if not fitted or not checked:
        return None
    temperature = fit_temperature(fitted)
    before, after = (mean(_nll(one, t) for one in checked) for t in (1.0, temperature))
    if not after < before:
        return None
    errors = [mean(_ece(one, t) for one in checked) for t in (1.0, temperature)]
    return CalibrationCard(
        temperature=temperature,
        nll_before=round(before, 6),
        nll_after=round(after, 6),
        ece_before=round(errors[0], 6),
        ece_after=round(errors[1], 6),
        cases_fitted=len(fitted),
        cases_checked=len(checked),
    )


def fit_temperature(samples: Sequence[Sample]) -> float:
    """Temperature of the highest likelihood, every case counting the same, within the bounds of the card."""
    parts = [
        (torch.from_numpy(one.logits), torch.from_numpy(one.truth), torch.from_numpy(one.weights / one.weights.sum()))
        for one in samples
    ]
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)  # its logarithm
    optimizer = torch.optim.LBFGS([scale], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for logits, truth, weights in parts:
            each = torch.nn.functional.cross_entropy(logits / scale.exp(), truth, reduction="none")
            total = total + (each * weights).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = math.exp(float(scale.detach()))
    return round(min(max(found, LEAST_TEMPERATURE), LARGEST_TEMPERATURE), 4)


def sample(
    probabilities: npt.NDArray[np.floating], reference: LabelMap, card: ModelCard, ignore: int | None, seed: int
) -> Sample:
    """Choose voxels of a case at random, as many of those the network is sure of as of the others.

    - `probabilities`, shape (classes, X, Y, Z), background first.
    """
    values = np.array([0, *(entry.value for entry in card.table)])
    order = np.argsort(values)
    flat = reference.array.reshape(-1)
    known = np.isin(flat, values) & (flat != (-1 if ignore is None else ignore))
    # As they lie in memory: a reshape of an array in a file would copy all of it.
    sure = np.asarray(probabilities.max(axis=0) >= SURE).reshape(-1)
    rng = np.random.default_rng(seed)
    places, weights = [], []
    for kind in (known & sure, known & ~sure):
        every = np.flatnonzero(kind)
        chosen = rng.choice(every, VOXELS, replace=False) if len(every) > VOXELS else every
        places.append(chosen)
        weights.append(np.full(len(chosen), len(every) / max(1, len(chosen)), np.float64))
    at = np.concatenate(places)
    index = np.unravel_index(at, reference.array.shape)
    found = np.stack([np.asarray(one[index], np.float64) for one in probabilities], axis=1)
    truth = order[np.searchsorted(values, flat[at], sorter=order)]
    return Sample(np.log(np.maximum(found, LEAST)), truth.astype(np.int64), np.concatenate(weights))


def _samples(
    package: ModelPackage, data: Dataset, cases: Sequence[DatasetCase], device: str, inputs: Inputs
) -> list[Sample]:
    """Segment cases and choose voxels; without cases that do not annotate every class."""
    predictor = Predictor(package, InferOptions(device=device, engine="torch", probabilities=True))
    found = []
    for number, case in enumerate(cases):
        if not all(case.annotates(entry.name) for entry in data.table):
            continue
        scan, reference = read_case(data, case)
        made = predictor.segment(scan, Scratch(inputs.run.out)).probabilities
        assert made is not None
        found.append(sample(made, reference, package.card, data.ignore_label, number))
    return [one for one in found if len(one.truth)]


def _probabilities(one: Sample, temperature: float) -> npt.NDArray[np.float64]:
    scaled = one.logits / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def _nll(one: Sample, temperature: float) -> float:
    """Mean negative log likelihood of a case."""
    found = _probabilities(one, temperature)[np.arange(len(one.truth)), one.truth]
    return float(np.average(-np.log(np.maximum(found, LEAST)), weights=one.weights))


def _ece(one: Sample, temperature: float) -> float:
    found = _probabilities(one, temperature)
    return weighted_ece(found.max(axis=1), found.argmax(axis=1) == one.truth, one.weights)
