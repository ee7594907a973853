"""The box in which the parts of a composite look, and how it grows while something is cut off at its faces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.types import Geometry, Scan
from medseg.types.box import Box, occupied

Sides = tuple[tuple[bool, bool], tuple[bool, bool], tuple[bool, bool]]
ALL: Sides = ((True, True), (True, True), (True, True))


def box_around(labels: npt.NDArray[Any], values: Iterable[int], back: Sequence[npt.NDArray[np.intp]]) -> Box | None:
    """Return the smallest box that holds some classes; None where there are none of them.

    - `labels`: on a grid, from which `back` leads to the voxels that the box counts.
    """
    wanted = np.isin(np.arange(int(labels.max()) + 1), list(values))
    size = (labels.shape[0], labels.shape[1], labels.shape[2])
    used = occupied(((k, wanted[labels[:, :, k]]) for k in range(size[2])), size)
    if used is None:
        return None
    reached = [np.flatnonzero(np.isin(index, places)) for places, index in zip(used, back, strict=True)]
    return Box.around(reached) if all(map(len, reached)) else None


def touched(labels: npt.NDArray[Any], values: Iterable[int], box: Box, shape: Sequence[int]) -> Sides:
    """Say for each axis whether classes lie on the box's first and last plane, where that is not the scan's edge."""
    wanted = list(values)

    def cut_off(axis: int, *, last: bool) -> bool:
        inside = box.stop[axis] < shape[axis] if last else box.start[axis] > 0
        return inside and bool(np.isin(np.take(labels, -1 if last else 0, axis=axis), wanted).any())

    x, y, z = ((cut_off(axis, last=False), cut_off(axis, last=True)) for axis in range(3))
    return x, y, z


def grown(box: Box, by_mm: float, grid: Geometry, sides: Sides = ALL) -> Box:
    """Return the box with the faces named moved outwards, within the grid."""
    voxels = [math.ceil(by_mm / mm) for mm in grid.spacing]
    x, y, z = (max(0, n - by * first) for n, by, (first, _) in zip(box.start, voxels, sides, strict=True))
    ends = zip(box.stop, voxels, sides, grid.shape, strict=True)
    u, v, w = (min(size, n + by * last) for n, by, (_, last), size in ends)
    return Box((x, y, z), (u, v, w))


def crop(scan: Scan, box: Box) -> Scan:
    """Return the part of a scan inside a box, at its own place in the world; the scan itself where that is all."""
    if box == Box.whole(scan.geometry.shape):
        return scan
    affine = scan.geometry.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(box.start)
    return scan.with_array(scan.array[(slice(None), *box.slices)], Geometry(affine, box.shape))
