"""How the axes of the network's grid and of the scan's are related, and how an axis is cut into parts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.prepare.resample import centers, nearest_index


@dataclass(frozen=True, eq=False)
class AxisMap:
    """Which two voxels of the network's grid each voxel of the scan's grid lies between, along one axis.

    - `low`, `high`, shape (target,): indices on the network's grid; equal everywhere on an axis that is not
      interpolated along.
    - `weight`, shape (target,): weight of `high`; that of `low` is what is missing to 1.
    """

    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float32]
    linear: bool

    @classmethod
    def between(cls, size: int, target: int, *, nearest: bool = False, step: float | None = None) -> AxisMap:
        """Map of an axis of `size` voxels onto one of `target` voxels that covers the same length.

        - `step`: voxels of the network's grid between those of the scan, where the first voxels' centers coincide;
          without it, outer edges do.
        """
        if (size == target and step in (None, 1.0)) or size == 1 or nearest:
            index = nearest_index(size, target, step)
            return cls(index, index, np.zeros(target, dtype=np.float32), linear=False)
        position = np.clip(centers(size, target, step), 0, size - 1)
        low = np.minimum(np.floor(position).astype(np.intp), size - 2)
        return cls(low, low + 1, (position - low).astype(np.float32), linear=True)


@dataclass(frozen=True, eq=False)
class Strip:
    """Part of an axis that can be labeled on its own.

    - `network`: what it needs of the network's grid, padding not counted.
    """

    axis_map: AxisMap
    network: slice
    scan: slice


def strips(whole: AxisMap, count: int) -> tuple[Strip, ...]:
    """Cut an axis into so many parts that can be labeled one after the other, but not into more than it has voxels."""
    edges = np.linspace(0, len(whole.low), min(count, len(whole.low)) + 1).round().astype(int).tolist()
    parts = []
    for begin, end in itertools.pairwise(edges):
        low, high = whole.low[begin:end], whole.high[begin:end]
        first, stop = int(low[0]), int(high[-1]) + 1
        axis_map = AxisMap(low - first, high - first, whole.weight[begin:end], whole.linear)
        parts.append(Strip(axis_map, slice(first, stop), slice(begin, end)))
    return tuple(parts)
