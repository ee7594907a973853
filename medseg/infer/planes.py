"""Interpolates every class's scores on planes of the scan's grid, a tile of rows at a time.

The order is X, Y, Z: what lies between two planes of the network's grid is made of the same two interpolated planes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.axis_map import AxisMap

Float32 = npt.NDArray[np.float32]
# Scores in hand at a time, so that they stay in the cache of a core: interpolated, and of the network's grid.
TILE = 1 << 18
COPIED = 1 << 20


def tiles(maps: Sequence[AxisMap], classes: int, planes: slice) -> list[tuple[slice, slice]]:
    """Cut planes into tiles that can be computed in any order, or side by side.

    - returns: planes and rows of each tile; those of the same planes follow each other.
    """
    x, y, z = maps
    rows = max(1, TILE // (classes * len(x.low)))
    deepest = max(int(y.high[r : r + rows][-1] - y.low[r]) + 1 for r in range(0, len(y.low), rows))
    deep = max(2, COPIED // (classes * (int(x.high[-1]) + 1) * deepest))
    result = []
    first = planes.start
    while first < planes.stop:
        stop = int(np.searchsorted(z.high[: planes.stop], z.low[first] + deep, side="left"))
        part = slice(first, max(first + 1, stop))
        result += [(part, slice(row, min(row + rows, len(y.low)))) for row in range(0, len(y.low), rows)]
        first = part.stop
    return result


def interpolated_planes(
    scores: Float32, maps: Sequence[AxisMap], planes: slice, rows: slice, first: int
) -> Iterator[tuple[int, Float32]]:
    """Yield planes with all classes' scores.

    - `scores`, shape (K, X, Y, n): without padding; beyond what `maps` reach there may be more.
    - yields, shape (K, rows, X): the plane of the scan's grid, and its scores, valid until the next is yielded.
    """
    x, y, z = maps
    low_y, high_y = y.low[rows] - y.low[rows.start], y.high[rows] - y.low[rows.start]
    weight_y = y.weight[rows, None]
    low_z, high_z = z.low[planes] - first, z.high[planes] - first
    begin = int(low_z[0])
    across = slice(int(y.low[rows.start]), int(y.high[rows.stop - 1]) + 1)
    # (n, K, Y, X), so that all that follows runs along X.
    copied = np.ascontiguousarray(
        scores[:, : int(x.high[-1]) + 1, across, begin : int(high_z[-1]) + 1].transpose(3, 0, 2, 1)
    )
    held: dict[int, Float32] = {}
    between: Float32 | None = None
    for plane in range(planes.start, planes.stop):
        low, high = int(low_z[plane - planes.start]) - begin, int(high_z[plane - planes.start]) - begin
        held = {k: v for k, v in held.items() if k >= low}
        for wanted in {low, high} - held.keys():
            of_x = _along(copied[wanted], x.low, x.high, x.weight, x.linear, 2)
            held[wanted] = _along(of_x, low_y, high_y, weight_y, y.linear, 1)
        if low == high:
            yield plane, held[low]
            continue
        between = np.subtract(held[high], held[low], out=between)
        between *= z.weight[plane]
        between += held[low]
        yield plane, between


def _along(values: Float32, low: Any, high: Any, weight: Any, linear: bool, axis: int) -> Float32:
    result: Float32 = np.take(values, low, axis=axis)
    if linear:
        further = np.take(values, high, axis=axis)
        further -= result
        further *= weight
        result += further
    return result
