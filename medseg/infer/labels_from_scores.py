"""Exact labels on the scan's own grid without ever holding scores there.

The definition is: interpolate every class's scores linearly onto the scan's grid, then decide. Interpolated scores are
convex combinations of the 8 around them, so where those 8 agree on the outcome, that is the outcome, and only the rest,
a shell around each border, needs its scores. The result is the same. Where that shell is a good part of all voxels, as
with an uncertain network, every voxel is interpolated: planes of them take less time than as many scattered ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.axis_map import AxisMap
from medseg.infer.decision import Decision
from medseg.infer.flat_index import unravel
from medseg.infer.mixed_cells import Borders
from medseg.infer.planes import interpolated_planes, tiles
from medseg.infer.sliding_window import Slab
from medseg.threads import side_by_side

Watch = Callable[[npt.NDArray[np.float32], npt.NDArray[Any], int], None]
# Voxels labeled at a time by each thread.
BLOCK = 1 << 21
# Voxels of the network's grid whose outcome is found at a time: the best score so far stays in the cache of a core.
DECIDED = 1 << 17
# With so many classes, all voxels interpolated take as long as half of them scattered. Measured: 3 classes break even
# where 6% of the voxels lie between corners that disagree, 10 where 20% do, 30 where 36% do, 117 where 65% do.
EVEN_AT_HALF = 50


class LabelStream:
    """Takes slabs of scores in order and fills in labels.

    - `maps`: one for each axis, the network's grid without its padding to the part of the scan that is labeled.
    - `out`, shape (X, Y, Z): the part of the scan that is labeled; fastest when X varies fastest in memory.
    - `watch`: shown each slab without padding: scores (K, X, Y, n), outcomes (X, Y, n), and the first plane not shown
      before.
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
        self._values = np.array(decision.written, dtype=out.dtype)
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
        outcome = self._outcome(scores)
        if self._watch is not None:
            begin = max(0, -first)
            end = max(begin, min(outcome.shape[2], int(self._z.high[-1]) + 1 - first))
            self._watch(scores[..., begin:end], outcome[..., begin:end], max(self._watched - first - begin, 0))
            self._watched = max(self._watched, first + end)
        if stop <= self._done:
            return
        cells = self._cells(outcome)
        counts = side_by_side(lambda planes: self._label(scores, cells, planes, first), self._blocks(stop))
        self.interpolated += sum(counts)
        self._done = stop

    def _outcome(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """Outcome at each voxel of the network's grid."""
        _, x, y, z = scores.shape
        outcome = np.empty((x, y, z), dtype=self._decision.dtype)
        step = max(1, DECIDED // (y * z))

        def decide(first: int) -> None:
            outcome[first : first + step] = self._decision.outcome(scores[:, first : first + step])

        side_by_side(decide, range(0, x, step))
        return outcome

    def _blocks(self, stop: int) -> list[slice]:
        """Planes of the scan not labeled yet; those of a cell together, so that none is looked at twice."""
        step = max(1, BLOCK // (self._out.shape[0] * self._out.shape[1]))
        blocks = []
        first = self._done
        while first < stop:
            last = self._z.low[min(first + step, stop) - 1]
            blocks.append(slice(first, min(stop, int(np.searchsorted(self._z.low, last, side="right")))))
            first = blocks[-1].stop
        return blocks

    def _label(self, scores: npt.NDArray[np.float32], cells: npt.NDArray[Any], planes: slice, first: int) -> int:
        """Label some planes of the scan; the number of voxels interpolated."""
        z = self._z.low[planes] - first
        lowest, highest = int(z[0]), int(z[-1]) + 1
        within = cells[..., lowest:highest]
        # Z slowest from here on, as in the result.
        block = np.take(np.take(within.transpose(2, 1, 0), self._x.low, axis=2), self._y.low, axis=1)
        block = np.take(block, z - lowest, axis=0)
        count = int(np.count_nonzero(block == self._mixed))
        if count * (len(scores) + EVEN_AT_HALF) > len(scores) * block.size:
            count = block.size
            self._decide_all(block, scores, planes, first)
        elif count:
            self._decide_mixed(block, scores[..., lowest : highest + self._z.linear], within, planes)
        self._out[:, :, planes] = (self._values[block] if self._renamed else block).transpose(2, 1, 0)
        return count

    def _decide_all(self, block: npt.NDArray[Any], scores: npt.NDArray[np.float32], planes: slice, first: int) -> None:
        """Interpolate every voxel of a block of shape (n, Y, X)."""
        maps = self._x, self._y, self._z
        for part, rows in tiles(maps, len(scores), planes):
            for plane, values in interpolated_planes(scores, maps, part, rows, first):
                block[plane - planes.start, rows] = self._decision.outcome(values)

    def _decide_mixed(
        self, block: npt.NDArray[Any], scores: npt.NDArray[np.float32], cells: npt.NDArray[Any], planes: slice
    ) -> None:
        """Interpolate where corners disagree, in a block of shape (n, Y, X), given the cells it lies in."""
        voxels = np.flatnonzero(block == self._mixed)
        k, j, i = unravel(voxels, block.shape)
        a, b, c = unravel(np.flatnonzero(cells == self._mixed), cells.shape)
        borders = Borders(scores, (a, b, c), (self._x.linear, self._y.linear, self._z.linear), self._decision)
        number = np.empty(cells.shape, dtype=np.int32)
        number[a, b, c] = np.arange(a.size, dtype=np.int32)
        z = self._z.low[planes]
        inside = number[self._x.low[i], self._y.low[j], (z - z[0])[k]].astype(np.intp)
        # A view: np.take gives contiguous arrays.
        block.reshape(-1)[voxels] = borders.decide(
            inside, (self._x.weight[i], self._y.weight[j], self._z.weight[planes][k])
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
