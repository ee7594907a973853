"""Finds the place of a smaller grid in the larger one it is a part of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.errors import GeometryMismatch
from medseg.types import Geometry

# Voxels by which grid points may miss each other.
TOLERANCE = 0.05


def place_in(part: Geometry, whole: Geometry, where: Path) -> tuple[slice, slice, slice]:
    """Slices of the larger grid's arrays that lie under the smaller grid's, mirrored where their axes run against it.

    A DICOM SEG, for one, holds only the slices with something on them.
    """
    corners = whole.to_voxel(part.to_world(np.array([[0, 0, 0], np.array(part.shape) - 1])))
    steps = np.linalg.inv(whole.affine[:3, :3]) @ part.affine[:3, :3]
    first, last = np.rint(corners).astype(int)
    aligned = np.abs(np.abs(steps) - np.eye(3)).max() < TOLERANCE / max(part.shape)
    inside = (np.minimum(first, last) >= 0).all() and (np.maximum(first, last) < whole.shape).all()
    if not (aligned and inside and np.abs(corners - np.rint(corners)).max() < TOLERANCE):
        raise GeometryMismatch(
            f"a grid of {_words(part)} is not part of the scan's {_words(whole)}",
            where=where,
            fix="Pair it with the scan it was drawn on.",
        )
    ends = zip(first.tolist(), last.tolist(), np.diag(steps) < 0, strict=True)
    x, y, z = (_span(start, end, bool(reverse)) for start, end, reverse in ends)
    return x, y, z


def _span(first: int, last: int, reverse: bool) -> slice:
    """Slice from one index to another, both inside."""
    if not reverse:
        return slice(first, last + 1)
    return slice(first, last - 1 if last > 0 else None, -1)


def _words(grid: Geometry) -> str:
    return f"{' x '.join(map(str, grid.shape))} voxels at {' x '.join(f'{mm:.3g}' for mm in grid.spacing)} mm"
