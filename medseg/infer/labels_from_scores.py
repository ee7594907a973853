"""Exact labels on the scan's own grid without ever holding scores there.

The definition is: interpolate every class's scores linearly onto the scan's grid, then decide. Interpolated scores are
convex combinations of the 8 around them, so where those 8 agree on the outcome, that is the outcome, and only the rest,
a shell around each border, needs its scores. The result is the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.borders import Borders
from medseg.infer.decision import Decision
from medseg.infer.sliding_window import Slab
from medseg.prepare.resample import centres, nearest_index

__all__ = ["AxisMap", "LabelStream", "Strip", "strips"]

Index = npt.NDArray[np.intp]
Watch = Callable[[npt.NDArray[np.float32], npt.NDArray[Any], int], None]
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
    def between(cls, size: int, target: int, *, nearest: bool = False, step: float | None = None) -> AxisMap:
        """Map of an axis of `size` voxels onto one of `target` voxels that covers the same length.

        Parameters
        ----------
        size, target : int
            Voxels on the network's and on the scan's grid.
        nearest : bool
            Take the nearest voxel instead.
        step : float, optional
            Voxels of the network's grid between those of the scan, where the first voxels' centres coincide; without
            it, outer edges do.
        """
        if (size == target and step in (None, 1.0)) or size == 1 or nearest:
            index = nearest_index(size, target, step)
            return cls(index, index, np.zeros(target, dtype=np.float32), linear=False)
        position = np.clip(centres(size, target, step), 0, size - 1)
        low = np.minimum(np.floor(position).astype(np.intp), size - 2)
        return cls(low, low + 1, (position - low).astype(np.float32), linear=True)


@dataclass(frozen=True, eq=False)
class Strip:
    """Part of an axis that can be labelled on its own.

    Parameters
    ----------
    axis_map : AxisMap
        Of this part; counts from the first voxel of `network`.
    network : slice
        What it needs of the network's grid, padding not counted.
    scan : slice
        What it labels of the scan.
    """

    axis_map: AxisMap
    network: slice
    scan: slice


def strips(whole: AxisMap, count: int) -> tuple[Strip, ...]:
    """Cut an axis into so many parts that can be labelled one after the other, but not into more than it has voxels."""
    edges = np.linspace(0, len(whole.low), min(count, len(whole.low)) + 1).round().astype(int).tolist()
    parts = []
    for begin, end in itertools.pairwise(edges):
        low, high = whole.low[begin:end], whole.high[begin:end]
        first, stop = int(low[0]), int(high[-1]) + 1
        axis_map = AxisMap(low - first, high - first, whole.share[begin:end], whole.linear)
        parts.append(Strip(axis_map, slice(first, stop), slice(begin, end)))
    return tuple(parts)


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
    watch : callable, optional
        Shown each slab without padding: scores (K, X, Y, n), outcomes (X, Y, n), and the first plane not shown before.
    """

    def __init__(
        self,
        maps: Sequence[AxisMap],
        offset: tuple[int, int, int],
        decision: Decision,
        out: npt.NDArray[Any],
        watch: Watch | None = None,
    ) -> None:
        self._x, self._y, self._z = maps
        self._offset = offset
        self._decision = decision
        self._values = np.array(decision.values, dtype=out.dtype)
        self._renamed = bool((self._values != np.arange(len(self._values))).any())
        self._mixed = np.iinfo(decision.dtype).max
        self._out = out
        self._watch = watch
        self._watched = 0
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
        x, y = self._offset[0], self._offset[1]
        scores = slab.scores[:, x : x + int(self._x.high[-1]) + 1, y : y + int(self._y.high[-1]) + 1]
        first = slab.first - self._offset[2]
        outcome = self._decision.outcome(scores)
        if self._watch is not None:
            begin = max(0, -first)
            end = max(begin, min(outcome.shape[2], int(self._z.high[-1]) + 1 - first))
            self._watch(scores[..., begin:end], outcome[..., begin:end], max(self._watched - first - begin, 0))
            self._watched = max(self._watched, first + end)
        if stop <= self._done:
            return
        cells = self._cells(outcome)
        # Z slowest from here on, as in the result.
        along_x = np.take(cells.transpose(2, 1, 0), self._x.low, axis=2)
        step = max(1, BLOCK // (self._out.shape[0] * self._out.shape[1]))
        while self._done < stop:
            last = self._z.low[min(self._done + step, stop) - 1]
            # All planes of a cell together, so that no cell is looked at twice.
            planes = slice(self._done, min(stop, int(np.searchsorted(self._z.low, last, side="right"))))
            lowest, highest = int(self._z.low[self._done]) - first, int(last) - first + 1
            block = np.take(np.take(along_x, self._z.low[planes] - first, axis=0), self._y.low, axis=1)
            some = scores[..., lowest : highest + self._z.linear]
            self._decide_mixed(block, some, cells[..., lowest:highest], planes)
            self._out[:, :, planes] = (self._values[block] if self._renamed else block).transpose(2, 1, 0)
            self._done = planes.stop

    def _decide_mixed(
        self, block: npt.NDArray[Any], scores: npt.NDArray[np.float32], cells: npt.NDArray[Any], planes: slice
    ) -> None:
        """Interpolate where corners disagree, in a block of shape (n, Y, X), given the cells it lies in."""
        voxels = np.flatnonzero(block == self._mixed)
        if not voxels.size:
            return
        self.interpolated += voxels.size
        k, j, i = _unravel(voxels, block.shape)
        a, b, c = _unravel(np.flatnonzero(cells == self._mixed), cells.shape)
        borders = Borders(scores, (a, b, c), (self._x.linear, self._y.linear, self._z.linear), self._decision)
        number = np.empty(cells.shape, dtype=np.int32)
        number[a, b, c] = np.arange(a.size, dtype=np.int32)
        z = self._z.low[planes]
        inside = number[self._x.low[i], self._y.low[j], (z - z[0])[k]].astype(np.intp)
        # A view: np.take gives contiguous arrays.
        block.reshape(-1)[voxels] = borders.decide(
            inside, (self._x.share[i], self._y.share[j], self._z.share[planes][k])
        )

    def _cells(self, outcome: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Outcome of each cell, `_mixed` where its corners disagree.

        An axis of n voxels that is interpolated along has n - 1 cells, another has n.
        """
        low, high = outcome, outcome
        for axis, mapped in enumerate((self._x, self._y, self._z)):
            if mapped.linear:
                nearer, further = (
                    tuple(part if a == axis else slice(None) for a in range(3))
                    for part in (slice(None, -1), slice(1, None))
                )
                low, high = np.minimum(low[nearer], low[further]), np.maximum(high[nearer], high[further])
        return np.where(low == high, low, outcome.dtype.type(self._mixed))


def _unravel(flat: Index, shape: tuple[int, ...]) -> tuple[Index, Index, Index]:
    """Indices along three axes; with `numpy.flatnonzero` much faster than `numpy.nonzero` where little is found."""
    first, rest = np.divmod(flat, shape[1] * shape[2])
    second, third = np.divmod(rest, shape[2])
    return first, second, third
