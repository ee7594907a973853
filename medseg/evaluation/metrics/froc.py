"""FROC: how many objects are found at how many false alarms a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.detection import Overlaps

# Operating points of the LUNA16 challenge.
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The predicted objects of one case, as FROC sees them."""

    references: int  # objects in the reference
    hits: npt.NDArray[np.int64]  # the reference object each one hits, -1 for none
    probabilities: npt.NDArray[np.float64]  # mean probability of each


@dataclass(frozen=True, eq=False)
class Froc:
    """Sensitivity against false alarms a case, as the probability from which a candidate counts is lowered."""

    false_positives: npt.NDArray[np.float64]  # a case, ascending
    sensitivity: npt.NDArray[np.float64]  # fraction of the reference objects that are hit
    at_rates: dict[float, float]  # at each of LUNA16's rates, as far as the candidates go

    @property
    def mean(self) -> float:
        """Mean sensitivity over the rates, the competition score of LUNA16."""
        return float(np.mean(list(self.at_rates.values())))


def object_probabilities(ids: npt.NDArray[Any], probabilities: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    """Mean probability over the voxels of each of the objects 1 to `count`."""
    occupied = ids != 0
    inside = ids[occupied].astype(np.int64)
    sums = np.bincount(inside, weights=probabilities[occupied].astype(np.float64), minlength=count + 1)[1:]
    means: npt.NDArray[np.float64] = sums / np.maximum(np.bincount(inside, minlength=count + 1)[1:], 1)
    return means


def candidates(overlaps: Overlaps, probabilities: npt.NDArray[np.float64], minimum_iou: float = 0.1) -> Candidates:
    """Say of each predicted object which reference object it hits: the one of highest IoU, if that is enough."""
    hits = np.full(len(overlaps.prediction_sizes), -1, np.int64)
    iou = overlaps.iou
    for pair in np.argsort(iou, kind="stable"):
        if iou[pair] >= minimum_iou:
            hits[overlaps.pairs[pair, 1]] = overlaps.pairs[pair, 0]
    return Candidates(len(overlaps.reference_sizes), hits, probabilities)


def froc(cases: Sequence[Candidates]) -> Froc | None:
    """Free-response operating characteristic over cases; None where no case has a reference object.

    A candidate that hits an object already hit counts neither way (LUNA16; Setio et al., Medical Image Analysis 2017).
    """
    total = sum(case.references for case in cases)
    if not total:
        return None
    probabilities = np.concatenate([case.probabilities for case in cases])
    case_of = np.concatenate([np.full(len(case.hits), n) for n, case in enumerate(cases)])
    hits = np.concatenate([case.hits for case in cases])
    order = np.argsort(-probabilities, kind="stable")
    probabilities, case_of, hits = probabilities[order], case_of[order], hits[order]
    new = np.zeros(len(hits), bool)
    real = np.flatnonzero(hits >= 0)
    _, first = np.unique(np.stack([case_of[real], hits[real]]), axis=1, return_index=True)
    new[real[first]] = True
    # Candidates of equal probability come in together: the curve has a point only where the probability changes.
    last = (
        np.flatnonzero(np.r_[probabilities[1:] != probabilities[:-1], True])
        if len(probabilities)
        else np.zeros(0, np.int64)
    )
    false = np.r_[0, np.cumsum(hits < 0)[last]] / len(cases)
    found = np.r_[0, np.cumsum(new)[last]] / total
    at = {rate: float(found[np.searchsorted(false, rate, side="right") - 1]) for rate in RATES}
    return Froc(false.astype(np.float64), found.astype(np.float64), at)
