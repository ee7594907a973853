"""Boundary F1: how much of two boundaries agrees within a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.nearest import Steps
from medseg.evaluation.metrics.surface import ROUNDING, surface_distances
from medseg.evaluation.metrics.surface_voxels import border_voxels
from medseg.types import Geometry


def boundary_f1(
    reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_], geometry: Geometry, tolerance: float
) -> float:
    """Harmonic mean of two fractions: predicted boundary near the reference's, and the reverse.

    Csurka 2013 (BMVC, "What is a good evaluation measure for semantic segmentation?"). Unlike Dice it does not forgive
    a ragged or shifted outline because the inside is large.

    Masks lie on the grid of `geometry`; the tolerance is in mm, a pixel of a 2D image without a pixel size counting as
    1 mm. NaN where both masks are empty, 0 where one is.
    """
    borders = [border_voxels(mask.astype(np.uint8)).get(1, np.zeros(0, np.int64)) for mask in (reference, prediction)]
    if not len(borders[0]) or not len(borders[1]):
        return float("nan") if not len(borders[0]) and not len(borders[1]) else 0.0
    x, y, z = reference.shape
    distances = surface_distances(borders[0], borders[1], (x, y, z), Steps.between_voxels(geometry.affine))
    reached = tolerance * (1 + ROUNDING)
    recall = _fraction(distances.from_reference, reached)
    precision = _fraction(distances.from_prediction, reached)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _fraction(distances: npt.NDArray[Any], reached: float) -> float:
    return float(np.count_nonzero(distances <= reached)) / len(distances)
