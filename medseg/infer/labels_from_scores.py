"""Exact labels on the scan's own grid without ever holding scores there.

The definition is: interpolate every class's scores linearly onto the scan's grid, then decide. Interpolated scores are
convex combinations of the 8 around them, so where those 8 agree on the outcome, that is the outcome, and only the rest,
a shell around each border, needs its scores. The result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.sliding_window import Slab
from medseg.prepare.resample import centres, nearest_index

__all__ = ["AxisMap", "LabelStream"]

# Score values gathered at a time around each border voxel; keeps the working memory at a few tens of MB.
GATHERED = 1 << 21
# Voxels labelled at a time.
BLOCK = 1 << 23


@dataclass(frozen=True, eq=False)
class AxisMap:
    """Which two voxels of the network's grid each voxel of the scan's grid lies between, along one axis.

    Parameters
    ----------
    low, high : ndarray of int, shape (target,)
        Indices on the network's grid; equal everywhere on an axis that is not interpolated along.
    share : ndarray of float32, shape (target,)
        Weight of `high`; that of `low` is what is missing to 1.
    linear : bool
        Whether there is anything to interpolate along this axis.
    """

    low: npt.NDArray[np.intp]
    high: npt.NDArray[np.intp]
    share: npt.NDArray[np.float32]
    linear: bool

    @classmethod
    def between(cls, size: int, target: int, *, nearest: bool = False) -> AxisMap:
        """Map of an axis of `size` voxels onto one of `target` voxels that covers the same length.

        Parameters
        ----------
        size, target : int
            Voxels on the network's and on the scan's grid.
        nearest : bool
            Take the nearest voxel instead.
        """
        if size == target or size == 1 or nearest:
            index = nearest_index(size, target)
            return cls(index, index, np.zeros(target, dtype=np.float32), linear=False)
        position = np.clip(centres(size, target), 0, size - 1)
        low = np.minimum(np.floor(position).astype(np.intp), size - 2)
        return cls(low, low + 1, (position - low).astype(np.float32), linear=True)


class LabelStream:
    """Takes slabs of scores in order and fills in labels.

    Parameters
    ----------
    maps : sequence of AxisMap
        One for each axis, the network's grid without its padding to the part of the scan that is labelled.
    offset : tuple of int
        Padding before that grid along each axis.
    decision : Decision
        What scores stand for.
    out : ndarray of uint8 or uint16, shape (X, Y, Z)
        The part of the scan that is labelled; fastest when X varies fastest in memory.
    """

    def __init__(
        self, maps: Sequence[AxisMap], offset: tuple[int, int, int], decision: Decision, out: npt.NDArray[Any]
    ) -> None:
        self._x, self._y, self._z = maps
        self._offset = offset
        self._decision = decision
        self._values = np.array(decision.values, dtype=out.dtype)
        self._renamed = bool((self._values != np.arange(len(self._values))).any())
        self._mixed = np.iinfo(decision.dtype).max
        self._out = out
        self._done = 0
        self.interpolated = 0
        """Voxels whose scores had to be interpolated."""

    @property
    def complete(self) -> bool:
        """Whether every voxel has its label."""
        return self._done == int(self._out.shape[2])

    def add(self, slab: Slab) -> None:
        """Label every plane of the scan for which this slab holds the scores."""
        stop = int(np.searchsorted(self._z.high, slab.stop - self._offset[2], side="left"))
        if stop <= self._done:
            return
        x, y = self._offset[0], self._offset[1]
        scores = slab.scores[:, x : x + int(self._x.high[-1]) + 1, y : y + int(self._y.high[-1]) + 1]
        first = slab.first - self._offset[2]
        cells = self._cells(self._decision.outcome(scores))
        # Z slowest from here on, as in the result.
        along_x = np.take(cells.transpose(2, 1, 0), self._x.low, axis=2)
        step = max(1, BLOCK // (self._out.shape[0] * self._out.shape[1]))
        for begin in range(self._done, stop, step):
            planes = slice(begin, min(begin + step, stop))
            block = np.take(np.take(along_x, self._z.low[planes] - first, axis=0), self._y.low, axis=1)
            self._interpolate(block, scores, planes, first)
            self._out[:, :, planes] = (self._values[block] if self._renamed else block).transpose(2, 1, 0)
        self._done = stop

    def _cells(self, outcome: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Outcome of the cell that begins at each voxel, `_mixed` where its corners disagree; shape (X, Y, n)."""
        low, high = outcome, outcome
        for axis, mapped in enumerate((self._x, self._y, self._z)):
            if mapped.linear and outcome.shape[axis] > 1:
                low, high = _pairs(low, axis, np.minimum), _pairs(high, axis, np.maximum)
        if low is high:
            return outcome
        return np.where(low == high, low, outcome.dtype.type(self._mixed))

    def _interpolate(self, block: npt.NDArray[Any], scores: npt.NDArray[np.float32], planes: slice, first: int) -> None:
        """Decide the mixed voxels of a block of shape (n, Y, X) by interpolating all their scores."""
        mixed = np.flatnonzero(block == self._mixed)
        self.interpolated += mixed.size
        flat = block.ravel()  # a view: np.take gives contiguous arrays
        axes = [(m.low, m.high, m.share, m.linear) for m in (self._x, self._y)]
        z = self._z
        axes.append((z.low[planes] - first, z.high[planes] - first, z.share[planes], z.linear))
        strides = [s // scores.itemsize for s in scores.strides]
        length = sum((n - 1) * s for n, s in zip(scores.shape[1:], strides[1:], strict=True)) + 1
        rows = np.lib.stride_tricks.as_strided(
            scores, (scores.shape[0], length), (scores.strides[0], scores.itemsize), writeable=False
        )
        chunk = max(1, GATHERED // scores.shape[0])
        for begin in range(0, mixed.size, chunk):
            voxels = mixed[begin : begin + chunk]
            k, rest = np.divmod(voxels, block.shape[1] * block.shape[2])
            j, i = np.divmod(rest, block.shape[2])
            corners = [(np.zeros(voxels.size, dtype=np.intp), np.ones(voxels.size, dtype=np.float32))]
            for index, stride, (low, high, share, linear) in zip((i, j, k), strides[1:], axes, strict=True):
                near = [(at + low[index] * stride, weight * (1 - share[index])) for at, weight in corners]
                far = [(at + high[index] * stride, weight * share[index]) for at, weight in corners] if linear else []
                corners = near + far
            interpolated = [sum(row[at] * weight for at, weight in corners) for row in rows]
            flat[voxels] = self._decision.outcome(interpolated)


def _pairs(array: npt.NDArray[Any], axis: int, function: np.ufunc) -> npt.NDArray[Any]:
    """Combine each voxel with the next along an axis; the last stays itself."""
    result = array.copy()
    lower = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
    upper = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
    function(array[lower], array[upper], out=result[lower])
    return result
