"""Whether probabilities mean what they say: expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.evaluation.metrics.overlap import slabs

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Voxels by how sure the model is of its answer, in bins of equal width from 0 to 1."""

    counts: npt.NDArray[np.int64]  # shape (bins,)
    confidence: npt.NDArray[np.float64]  # sum of the highest probabilities
    correct: npt.NDArray[np.int64]  # voxels whose most probable class is the reference's

    @property
    def ece(self) -> float:
        """Mean gap between confidence and accuracy over the bins, weighted by their voxels; NaN without voxels."""
        total = self.counts.sum()
        return float(np.abs(self.confidence - self.correct).sum() / total) if total else float("nan")

    def __add__(self, other: Reliability) -> Reliability:
        """Pool the voxels of two."""
        return Reliability(self.counts + other.counts, self.confidence + other.confidence, self.correct + other.correct)


def reliability(
    probabilities: npt.NDArray[Any], reference: npt.NDArray[Any], values: npt.NDArray[Any] | None = None
) -> tuple[Reliability, Reliability]:
    """Bin voxels by confidence: all of them, and those that the reference or the probabilities call foreground.

    Background is most of a scan and mostly certain, and drowns the rest; hence the second figure. `probabilities` have
    the shape (classes, X, Y, Z), background first, and sum to 1 in each voxel; `values` are the class value of each
    channel, 0, 1, 2, ... by default.
    """
    if probabilities.shape[1:] != reference.shape:
        raise InputError(
            f"probabilities of shape {probabilities.shape} do not fit a reference of shape {reference.shape}",
            fix="Save one channel for each class, background first, on the reference's grid.",
        )
    values = np.arange(len(probabilities)) if values is None else np.asarray(values)
    bins = np.zeros((2, 3, BINS))
    for slab in slabs(reference):
        part = np.asarray(probabilities[:, slab], dtype=np.float32)
        if part.size and (float(part.min()) < -1e-3 or float(part.max()) > 1 + 1e-3):
            raise InputError(
                "probabilities must lie between 0 and 1",
                fix="Save them after the softmax, as `medseg predict --save probabilities` does.",
            )
        winner = values[part.argmax(axis=0)]
        sure = part.max(axis=0).clip(0, 1)
        right = winner == reference[slab]
        # A bin is open below and closed above, as Guo et al. have it.
        bin_ = np.clip(np.ceil(sure * BINS).astype(np.intp) - 1, 0, BINS - 1)
        for number, chosen in enumerate((np.ones(sure.shape, bool), (winner != 0) | (reference[slab] != 0))):
            at = bin_[chosen]
            bins[number, 0] += np.bincount(at, minlength=BINS)
            bins[number, 1] += np.bincount(at, weights=sure[chosen], minlength=BINS)
            bins[number, 2] += np.bincount(at, weights=right[chosen], minlength=BINS)
    everywhere, foreground = (Reliability(c.astype(np.int64), s, r.astype(np.int64)) for c, s, r in bins)
    return everywhere, foreground


def weighted_ece(
    confidence: npt.NDArray[Any], correct: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> float:
    """Return the expected calibration error of some voxels of which each stands for so many."""
    at = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    sure, right = (np.bincount(at, weights=weights * one, minlength=BINS) for one in (confidence, correct))
    return float(np.abs(sure - right).sum() / weights.sum())


def calibration_measures(everywhere: Reliability, foreground: Reliability) -> dict[str, float]:
    """Expected calibration error (Guo et al., On Calibration of Modern Neural Networks, ICML 2017)."""
    return {"ece": everywhere.ece, "ece_foreground": foreground.ece}
