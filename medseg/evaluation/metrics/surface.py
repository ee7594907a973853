"""Distances between the surfaces of a reference and a prediction, and the measures made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.nearest import Indices, Steps, nearest_distances

# A header's float32 spacing times a few voxels may exceed the tolerance it was meant to equal by this fraction.
ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Both directed distances between two surfaces, made of border voxels."""

    from_reference: npt.NDArray[np.float64]  # mm from each border voxel to the nearest; infinite without one
    from_prediction: npt.NDArray[np.float64]


def surface_distances(
    reference: Indices, prediction: Indices, shape: tuple[int, int, int], steps: Steps
) -> SurfaceDistances:
    """Measure from every border voxel of either surface to the other surface.

    Border voxels are ascending indices into the flattened image of `shape`.
    """
    return SurfaceDistances(
        nearest_distances(reference, prediction, shape, steps),
        nearest_distances(prediction, reference, shape, steps),
    )


def surface_measures(distances: SurfaceDistances, tolerances: Sequence[float] = ()) -> dict[str, float]:
    """Condense two directed distances: hd, hd95, assd, masd in mm, and nsd@T for each tolerance T in mm.

    All NaN where both surfaces are empty; distances infinite and nsd 0 where one is.
    """
    a, b = distances.from_reference, distances.from_prediction
    names = [tolerance_name(tolerance) for tolerance in tolerances]
    if not len(a) or not len(b):
        undefined = not len(a) and not len(b)
        far, close = (np.nan, np.nan) if undefined else (np.inf, 0.0)
        return dict.fromkeys(("hd", "hd95", "assd", "masd"), far) | dict.fromkeys(names, close)
    count = len(a) + len(b)
    measures = {
        "hd": float(max(a.max(), b.max())),
        "hd95": float(max(np.percentile(a, 95), np.percentile(b, 95))),
        "assd": float((a.sum() + b.sum()) / count),
        "masd": float((a.mean() + b.mean()) / 2),
    }
    for name, tolerance in zip(names, tolerances, strict=True):
        reached = tolerance * (1 + ROUNDING)
        measures[name] = float((np.count_nonzero(a <= reached) + np.count_nonzero(b <= reached)) / count)
    return measures


def tolerance_name(tolerance: float) -> str:
    """Name of the normalized surface distance at a tolerance in mm, for instance ``nsd@2mm``."""
    return f"nsd@{tolerance:g}mm"
