"""The one grid that all parts of a composite share, and the way back from it by the nearest voxel.

Both ways are those of `scipy.ndimage.zoom` (``grid_mode=False``), where the centers of the first and of the last voxels
coincide before and after; TotalSegmentator brings scans to its grid so. They are one small matrix and one list of
indices per axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.models.composite_card import GridCard
from medseg.prepare.blockwise import fill
from medseg.prepare.resample import nearest_index, resampled_size
from medseg.types import Geometry, Scan

Indices = npt.NDArray[np.intp]
# Relative difference of spacings below which there is nothing to resample: what float32 headers lose.
SAME = 1e-6
# What float32 loses when it interpolates between whole numbers is taken back before they are cut: to 1/1000.
DIGITS = 3


@dataclass(frozen=True, eq=False)
class Gridded:
    """A scan as the parts see it, and the way back.

    - `back`: for each axis, the index of the voxel of `scan` that is nearest to each voxel of the source.
    """

    scan: Scan
    back: tuple[Indices, Indices, Indices]


def on_grid(scan: Scan, card: GridCard | None) -> Gridded:
    """Bring a scan, whose axes lie nearest to R, A, S, to the shared grid; without one it stays as it is."""
    grid = scan.geometry
    wanted = grid.spacing if card is None else card.spacing
    if card is None or all(abs(now / want - 1) < SAME for now, want in zip(grid.spacing, wanted, strict=True)):
        x, y, z = (np.arange(n) for n in grid.shape)
        return Gridded(scan, (x, y, z))
    i, j, k = (resampled_size(n, now, want) for n, now, want in zip(grid.shape, grid.spacing, wanted, strict=True))
    array = _resampled(scan.array, (i, j, k), card)
    scale = np.diag([*(np.array(wanted) / np.array(grid.spacing)), 1.0])
    x, y, z = (nearest_index(m, n, _step(m, n)) for n, m in zip(grid.shape, (i, j, k), strict=True))
    return Gridded(scan.with_array(array, Geometry(grid.affine @ scale, (i, j, k))), (x, y, z))


def _step(size: int, target: int) -> float:
    """Voxels between the voxels of the target, so that first and last centers coincide; 1 where there is only one."""
    return (size - 1) / (target - 1) if target > 1 else 1.0


def _resampled(array: npt.NDArray[Any], shape: tuple[int, int, int], card: GridCard) -> npt.NDArray[Any]:
    """Interpolate every channel of (C, X, Y, Z); Z varies slowest in memory, as in files."""
    x, y, z = shape
    result = np.empty((len(array), z, y, x), np.float32)
    u, v, w = (_step(n, m) for n, m in zip(array.shape[:0:-1], result.shape[1:], strict=True))
    for channel, target in zip(array, result, strict=True):
        fill(target, channel.transpose(2, 1, 0), lambda planes, _: planes, card.order, None, (u, v, w))
    return (_cut(result) if card.whole_numbers else result).transpose(0, 3, 2, 1)


def _cut(values: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Whole numbers, toward 0, as int16 where that holds them."""
    for channel in values:
        for plane in channel:
            np.trunc(np.round(plane, DIGITS, out=plane), out=plane)
    small = np.iinfo(np.int16)
    fits = small.min <= float(values.min()) and float(values.max()) <= small.max
    return values.astype(np.int16) if fits else values
