"""Runs of equal voxels: a quick index of everything in a label map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# A slab of this many voxels stays in the CPU's cache: several times faster than one pass over a whole volume.
SLAB_VOXELS = 1 << 22


@dataclass(frozen=True, eq=False)
class Runs:
    """Rows of equal non-zero voxels along the first axis of a block; each array has one entry for a run.

    - `places`: index of the first voxel in the flattened block, first axis fastest.
    """

    values: npt.NDArray[Any]
    places: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


def find_runs(block: npt.NDArray[Any]) -> Runs:
    """Find the runs of a Fortran-contiguous block of shape (X, Y, Z)."""
    flat = block.reshape(-1, order="F")
    begins = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: block.shape[0]] = True
    places = np.flatnonzero(begins)
    values = flat[places]
    lengths = np.diff(places, append=flat.size)
    filled = values != 0
    return Runs(values[filled], places[filled], lengths[filled])


def slowest_last(array: npt.NDArray[Any]) -> tuple[int, ...]:
    """Axes in order of stride, so that slabs along the last one are contiguous; axes of one voxel come first."""
    return tuple(int(axis) for axis in np.lexsort((np.abs(array.strides), [size > 1 for size in array.shape])))


def slabs(shape: tuple[int, ...], planes: int | None = None) -> list[tuple[int, int]]:
    """First plane and the one beyond the last, along the last axis, of slabs of `planes` planes."""
    depth = shape[-1]
    thickness = planes or max(1, SLAB_VOXELS * depth // int(np.prod(shape, dtype=np.int64)))
    return [(first, min(first + thickness, depth)) for first in range(0, depth, thickness)]
