"""Every class's probability, and their entropy, on the scan's own grid: written a few planes at a time, never held.

The definition is the labels': interpolate every class's scores linearly onto the scan's grid, then take the softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.axis_map import AxisMap
from medseg.infer.decision import Decision
from medseg.infer.sliding_window import Slab
from medseg.io.files.scratch import release

Float32 = npt.NDArray[np.float32]
# Scores interpolated at a time.
BLOCK = 1 << 21
# Probabilities below this add nothing to an entropy.
LEAST = 1e-12


def entropy(probabilities: Float32, decision: Decision) -> Float32:
    """How uncertain each voxel is, 0 to 1.

    - `decision`: where classes exclude each other, the entropy over all of them, divided by its largest value, log K.
      Where regions may overlap, the largest of their own.
    """
    if decision.regions:
        result: Float32 = (_terms(probabilities) + _terms(1 - probabilities)).max(axis=0) / np.float32(np.log(2))
        return result
    total = _terms(probabilities[0])
    for probability in probabilities[1:]:
        total += _terms(probability)
    total /= np.float32(np.log(len(probabilities)))
    return total


def _terms(probability: Float32) -> Float32:
    result = np.maximum(probability, np.float32(LEAST))
    np.log(result, out=result)
    result *= probability
    return np.negative(result, out=result)


class ProbabilityStream:
    """Takes slabs of scores in order, as `LabelStream` does, and fills in probabilities and entropy."""

    def __init__(
        self,
        maps: Sequence[AxisMap],
        offset: tuple[int, int, int],
        decision: Decision,
        probabilities: npt.NDArray[Any] | None,
        entropies: npt.NDArray[Any] | None,
    ) -> None:
        self._x, self._y, self._z = maps
        self._offset = offset
        self._decision = decision
        self._probabilities, self._entropies = probabilities, entropies
        self._done = 0

    def add(self, slab: Slab) -> None:
        """Fill in every plane of the scan for which this slab holds the scores."""
        stop = int(np.searchsorted(self._z.high, slab.stop - self._offset[2], side="left"))
        first = slab.first - self._offset[2]
        x, y = self._offset[0], self._offset[1]
        scores = slab.scores[:, x : x + int(self._x.high[-1]) + 1, y : y + int(self._y.high[-1]) + 1]
        step = max(1, BLOCK // (len(scores) * len(self._y.low)))
        for plane in range(self._done, stop):
            low, high = int(self._z.low[plane]) - first, int(self._z.high[plane]) - first
            between = scores[..., low]
            if high != low:
                between = between + (scores[..., high] - between) * self._z.weight[plane]
            for begin in range(0, len(self._x.low), step):
                self._fill(between, slice(begin, begin + step), plane)
        for filled in (self._probabilities, self._entropies):
            if filled is not None:
                release(filled)
        self._done = max(self._done, stop)

    def _fill(self, plane_scores: Float32, rows: slice, plane: int) -> None:
        """Interpolate some rows of a plane, scores of shape (K, x, y), and put them where they belong."""
        values = _along(plane_scores, self._x, rows, 1)
        values = _along(values, self._y, slice(None), 2)
        probabilities = self._decision.probabilities(values)
        if self._probabilities is not None:
            self._probabilities[:, rows, :, plane] = probabilities
        if self._entropies is not None:
            self._entropies[rows, :, plane] = entropy(probabilities, self._decision)


def _along(values: Float32, axis_map: AxisMap, rows: slice, axis: int) -> Float32:
    low = np.take(values, axis_map.low[rows], axis=axis)
    if not axis_map.linear:
        return low
    weight = axis_map.weight[rows].reshape([-1 if a == axis else 1 for a in range(3)])
    low += (np.take(values, axis_map.high[rows], axis=axis) - low) * weight
    return low
