"""Measures how far each point of a reference's and a prediction's surface is from the other, for drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from medseg.draw.error_map import SurfaceErrors
from medseg.draw.overlay import LabelPair
from medseg.evaluation.metrics.nearest import Indices, Steps
from medseg.evaluation.metrics.surface import surface_distances
from medseg.evaluation.metrics.surface_voxels import border_voxels

Floats = npt.NDArray[np.float64]


def surface_errors(case: LabelPair, classes: Sequence[tuple[int, ...]] | None = None) -> SurfaceErrors:
    """Measure, class by class, from every border voxel to the other surface.

    - `classes`: where classes overlap, the values that each is part of; without them, each value is a class.
    """
    x, y, z = case.reference.shape
    steps = Steps.between_voxels(spacing=case.spacing)
    indices: tuple[list[Indices], list[Indices]] = ([], [])
    distances: tuple[list[Floats], list[Floats]] = ([], [])
    nothing = np.zeros(0, np.int64)
    for pair in _borders(case, classes):
        found = surface_distances(*pair, (x, y, z), steps)
        for side, (border, found_mm) in enumerate(
            zip(pair, (found.from_reference, found.from_prediction), strict=True)
        ):
            indices[side].append(border)
            distances[side].append(found_mm)
    flat = [np.concatenate([nothing, *side]) for side in indices]
    mm = [np.concatenate([np.zeros(0), *side]) for side in distances]
    points = [np.stack(np.unravel_index(side, (x, y, z)), axis=-1).astype(np.int64) for side in flat]
    place = _place(points, mm, (x, y, z))
    return SurfaceErrors((points[0], points[1]), (mm[0], mm[1]), place, case.spacing)


def _borders(case: LabelPair, classes: Sequence[tuple[int, ...]] | None) -> Iterator[tuple[Indices, Indices]]:
    """Border voxels of each class in reference and prediction."""
    nothing = np.zeros(0, np.int64)
    if classes is None:
        borders = border_voxels(case.reference), border_voxels(case.prediction)
        for value in sorted({*borders[0], *borders[1]}):
            yield borders[0].get(value, nothing), borders[1].get(value, nothing)
        return
    for values in classes:
        inside = np.isin(np.arange(65536), values)
        yield (
            border_voxels(case.reference, inside).get(1, nothing),
            border_voxels(case.prediction, inside).get(1, nothing),
        )


def _place(points: list[Indices], mm: list[Floats], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    every, distances = np.concatenate(points), np.concatenate(mm)
    if not len(every):
        x, y, z = (n // 2 for n in shape)
        return x, y, z
    finite = np.isfinite(distances)
    # Where a whole class is missing, nothing is worse: the point of it nearest its middle.
    lost = every[~finite]
    if len(lost):
        x, y, z = lost[np.abs(lost - lost.mean(axis=0)).sum(axis=1).argmin()]
    else:
        x, y, z = every[distances.argmax()]
    return int(x), int(y), int(z)
