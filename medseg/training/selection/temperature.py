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
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, softmax

from medseg.counted import counted
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
    """Voxels of a case: logits, what the reference says of them, and how many voxels each stands for.

    - `logits`, shape (voxels, classes): up to a constant where classes exclude each other.
    - `truth`: the index of the class, shape (voxels,); for regions that may overlap whether each is there, shape
      (voxels, classes).
    """

    logits: npt.NDArray[np.float64]
    truth: npt.NDArray[Any]
    weights: npt.NDArray[np.float64]


def calibrated(package: ModelPackage, inputs: Inputs, held_out: Sequence[DatasetCase]) -> ModelPackage:
    """Write the temperature into the card of a trained package, where held-out cases show that it helps.

    Not for probabilities that are interpolated as such, nor where objects are made along the valleys of probabilities.
    """
    if not applies_to(package.card) or len(held_out) < 2:
        return package
    chosen = held_out[: 2 * MOST_CASES]
    samples = _samples(package, inputs.run.dataset, chosen, str(inputs.run.device), inputs)
    found = calibration(samples[::2], samples[1::2])
    if found is None:
        log.info("No temperature makes the probabilities better on held-out cases.")
        return package
    log.info(
        "Probabilities are calibrated with temperature %.3f: expected calibration error %.4f to %.4f on %s.",
        *(found.temperature, found.ece_before, found.ece_after, counted(found.cases_checked, "case")),
    )
    return write_card(package.folder, package.card.model_copy(update={"calibration": found}))


def applies_to(card: ModelCard) -> bool:
    """Whether probabilities of such a model are made of interpolated logits, and no object of probabilities."""
    return card.network.output == card.interpolated == "logits" and all(step.stage != "border" for step in card.post)


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
            total = total + (_loss(logits / scale.exp(), truth) * weights).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = math.exp(float(scale.detach()))
    return round(min(max(found, LEAST_TEMPERATURE), LARGEST_TEMPERATURE), 4)


def _loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of each voxel; of regions, their mean."""
    if truth.ndim == 1:
        return torch.nn.functional.cross_entropy(logits, truth, reduction="none")
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), reduction="none")
    return each.mean(dim=1)


def sample(
    probabilities: npt.NDArray[np.floating], reference: LabelMap, card: ModelCard, data: Dataset, seed: int
) -> Sample:
    """Choose voxels of a case at random, as many of those the network is sure of as of the others.

    - `probabilities`, shape (classes, X, Y, Z): background first; of regions that may overlap, each one's.
    """
    ignore = data.ignore_label
    values = np.array([0, *(entry.value for entry in card.table)])
    order = np.argsort(values)
    flat = reference.array.reshape(-1)
    known = np.isin(flat, values) if card.regions is None else np.ones(flat.shape, bool)
    if ignore is not None:
        known &= flat != ignore
    sure = _is_sure(probabilities, exclusive=card.regions is None).reshape(-1)
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
    every_weight = np.concatenate(weights)
    if card.regions is not None:
        found = found.clip(LEAST, 1 - LEAST)
        present = np.stack([np.isin(flat[at], data.reference_values(value)) for value in card.regions], axis=1)
        return Sample(np.log(found / (1 - found)), present, every_weight)
    truth = order[np.searchsorted(values, flat[at], sorter=order)]
    return Sample(np.log(np.maximum(found, LEAST)), truth.astype(np.int64), every_weight)


def _is_sure(probabilities: npt.NDArray[np.floating], *, exclusive: bool) -> npt.NDArray[np.bool_]:
    """Where the network is sure of the class, or of every region, shape (X, Y, Z)."""
    if exclusive:
        return np.asarray(probabilities.max(axis=0) >= SURE)
    sure = np.ones(probabilities.shape[1:], bool)
    for one in probabilities:
        sure &= np.maximum(one, 1 - one) >= SURE
    return sure


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
        found.append(sample(made, reference, package.card, data, number))
    return [one for one in found if len(one.truth)]


def _nll(one: Sample, temperature: float) -> float:
    """Mean negative log likelihood of a case."""
    losses = _loss(torch.from_numpy(one.logits / temperature), torch.from_numpy(one.truth)).numpy()
    return float(np.average(losses, weights=one.weights))


def _ece(one: Sample, temperature: float) -> float:
    """Return the expected calibration error of a case; of regions, over all of them."""
    scaled = one.logits / temperature
    if one.truth.ndim == 1:
        found = softmax(scaled, axis=1)
        return weighted_ece(found.max(axis=1), found.argmax(axis=1) == one.truth, one.weights)
    found = expit(scaled)
    right = (found > 0.5) == one.truth
    return weighted_ece(np.maximum(found, 1 - found).ravel(), right.ravel(), np.repeat(one.weights, found.shape[1]))
