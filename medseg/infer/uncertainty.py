"""How uncertain a network is along the boundaries it draws, gathered from the scores as they stream by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.flat_index import FlatScores, unravel
from medseg.infer.probability_stream import entropy
from medseg.threads import side_by_side

# Voxels looked at a time by each thread.
VOXELS = 1 << 17


class BoundaryEntropy:
    """Mean entropy along each class's border, on the network's grid.

    Only pairs of neighbors with different classes are looked at, a hundredth of the voxels or so: no extra pass.
    The entropy of a pair is that of its later voxel, and it counts for both classes.
    """

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._sum = np.zeros(len(decision.values))
        self._count = np.zeros(len(decision.values), dtype=np.int64)

    def add(self, scores: npt.NDArray[np.float32], outcome: npt.NDArray[Any], first_plane: int, first_row: int) -> None:
        """Look at the borders in part of the grid.

        - `outcome`, shape (X, Y, n): index of the class that wins at each voxel.
        - `first_plane`, `first_row`: where along Z and Y the new part begins; what lies before it is there to compare
          with.
        """
        flat = FlatScores(scores)
        step = max(1, VOXELS // max(1, outcome.shape[1] * outcome.shape[2]))

        def look(first: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
            return self._look(flat, outcome, slice(first, first + step), first_plane, first_row)

        # Summed in this order, whatever thread was done first, so that the last digit stays the same.
        for sums, counts in side_by_side(look, range(0, len(outcome), step)):
            self._sum += sums
            self._count += counts

    def _look(
        self, scores: FlatScores, outcome: npt.NDArray[Any], part: slice, first_plane: int, first_row: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Sum and number of entropies by class, of pairs whose later voxel lies at some places along X."""
        before = min(part.start, 1)
        classes = np.ascontiguousarray(outcome[part.start - before : part.stop])
        # For each axis, where the voxel before is of another class.
        differs = np.zeros((3, len(classes) - before, *classes.shape[1:]), dtype=bool)
        own = classes[before:]
        np.not_equal(classes[1:], classes[:-1], out=differs[0, 1 - before :])
        np.not_equal(own[:, 1:], own[:, :-1], out=differs[1, :, 1:])
        np.not_equal(own[:, :, 1:], own[:, :, :-1], out=differs[2, :, :, 1:])
        differs[:, :, :first_row] = False
        differs[..., :first_plane] = False
        at_border = np.flatnonzero(differs.any(axis=0))
        sums, counts = np.zeros_like(self._sum), np.zeros_like(self._count)
        if not at_border.size:
            return sums, counts
        x, y, z = unravel(at_border, own.shape)
        probabilities = self._decision.probabilities(scores.at(x + part.start, y, z))
        uncertainty = entropy(probabilities, self._decision)
        at = at_border + before * own[0].size
        here = classes.reshape(-1).take(at)
        for axis, stride in enumerate((own[0].size, own.shape[2], 1)):
            chosen = np.flatnonzero(differs[axis].reshape(-1).take(at_border))
            other = classes.reshape(-1).take(at.take(chosen) - stride)
            if self._decision.overlapping:
                self._add_each(sums, counts, (here.take(chosen) ^ other), probabilities[:, chosen])
                continue
            weights = uncertainty.take(chosen)
            for side in (here.take(chosen), other):
                sums += np.bincount(side, weights, minlength=len(sums))
                counts += np.bincount(side, minlength=len(counts))
        return sums, counts

    def _add_each(
        self,
        sums: npt.NDArray[np.float64],
        counts: npt.NDArray[np.int64],
        differs: npt.NDArray[Any],
        probabilities: npt.NDArray[np.float32],
    ) -> None:
        """Of classes that overlap, add to each the entropy of its own probability where its own border runs.

        - `differs`, shape (N,): a bit for each class of which a pair has a voxel inside and one outside.
        """
        for index, of_class in enumerate(probabilities):
            here = (differs >> index & 1).astype(bool)
            sums[index + 1] += float(entropy(of_class[here][None], self._decision).sum(dtype=np.float64))
            counts[index + 1] += int(here.sum())

    def by_value(self) -> dict[int, float]:
        """Mean entropy along the border of each label value that has one, without background."""
        return {
            value: float(self._sum[index] / self._count[index])
            for index, value in enumerate(self._decision.values)
            if index and self._count[index]
        }
