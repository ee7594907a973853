"""Chooses how large the windows are that cover a scan: what is computed costs by the voxel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from medseg.infer.blend import windows_along

Size = tuple[int, int, int]
# A window so many times as large as the network's own holds a whole head at 2 mm beside windows of 32 x 40 x 32; past
# that, less overlap saves little, and memory grows.
LARGEST = 32
# Into more windows an axis is cut only by windows of the network's own size.
MOST = 8


def cheapest_window(size: Size, patch: Size, multiple: Sequence[int], overlap: float, most: int) -> Size:
    """Return the size of windows, the network's own or larger, that cover a scan with the fewest voxels in all.

    Windows overlap by as many voxels as those of the network's own size would, so that larger ones repeat less.

    - `size`: of the scan on the network's grid, in voxels.
    - `patch`: of the network's own window.
    - `multiple`: what each side of a window must be a multiple of; 0 for an axis along which it must stay as it is.
    - `most`: voxels a window may have for want of memory.
    """
    largest = min(most, LARGEST * math.prod(patch))
    along_x, along_y, along_z = (_sides(*axis, overlap) for axis in zip(size, patch, multiple, strict=True))
    windows = [(x, y, z) for x, y, z in itertools.product(along_x, along_y, along_z) if x * y * z <= largest]
    return min(windows, default=patch, key=lambda window: _voxels(size, window, overlap_of(window, patch, overlap)))


def overlap_of(window: Size, patch: Size, overlap: float) -> float:
    """Fraction of a window that is as many voxels, along each axis or more, as `overlap` is of the network's own."""
    return overlap * max(own / side for own, side in zip(patch, window, strict=True))


def _sides(size: int, patch: int, multiple: int, overlap: float) -> list[int]:
    """Sides with which 1, 2, ... windows cover an axis, none smaller than the network's own."""
    if multiple == 0:
        return [patch]
    shared = overlap * patch
    needed = ((size + (count - 1) * shared) / count for count in range(1, MOST + 1))
    return sorted({patch, *(max(patch, math.ceil(n / multiple) * multiple) for n in needed)})


def _voxels(size: Size, window: Size, overlap: float) -> int:
    """Voxels that are shown to the network."""
    counts = (len(windows_along(max(n, side), side, overlap).starts) for n, side in zip(size, window, strict=True))
    return math.prod(counts) * math.prod(window)
