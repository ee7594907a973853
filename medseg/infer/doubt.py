"""How undecided a network is along the borders it draws, gathered from the scores as they stream by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.score_stream import entropy

__all__ = ["BorderDoubt"]

# Border voxels looked at a time.
VOXELS = 1 << 16


class BorderDoubt:
    """Mean entropy along each class's border, on the network's grid.

    Only pairs of neighbours with different classes are looked at, a hundredth of the voxels or so: no pass is added.

    Parameters
    ----------
    decision : Decision
        What scores stand for.
    """

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._sum = np.zeros(len(decision.values))
        self._count = np.zeros(len(decision.values), dtype=np.int64)

    def add(self, scores: npt.NDArray[np.float32], outcome: npt.NDArray[Any], first_plane: int, first_row: int) -> None:
        """Look at the borders in part of the grid.

        Parameters
        ----------
        scores : ndarray of float32, shape (K, X, Y, n)
            What is interpolated.
        outcome : ndarray of int, shape (X, Y, n)
            Index of the class that wins at each voxel.
        first_plane, first_row : int
            Where along Z and Y what has not been seen before begins; what lies before is there to compare with.
        """
        for axis in range(3):
            after, before = _shifted(outcome, axis, 1), _shifted(outcome, axis, 0)
            x, y, z = np.nonzero(after != before)
            x, y, z = (index + (a == axis) for a, index in enumerate((x, y, z)))
            new = (y >= first_row) & (z >= first_plane)
            x, y, z = x[new], y[new], z[new]
            for begin in range(0, x.size, VOXELS):
                i, j, k = (index[begin : begin + VOXELS] for index in (x, y, z))
                doubt = entropy(self._decision.shares(scores[:, i, j, k]), self._decision)
                here = outcome[i, j, k]
                there = outcome[tuple(index - (a == axis) for a, index in enumerate((i, j, k)))]
                for side in (here, there):
                    self._sum += np.bincount(side, doubt, minlength=len(self._sum))
                    self._count += np.bincount(side, minlength=len(self._count))

    def by_value(self) -> dict[int, float]:
        """Mean entropy along the border of each label value that has one, background left out."""
        return {
            value: float(self._sum[index] / self._count[index])
            for index, value in enumerate(self._decision.values)
            if index and self._count[index]
        }


def _shifted(array: npt.NDArray[Any], axis: int, by: int) -> npt.NDArray[Any]:
    cut = [slice(None)] * 3
    cut[axis] = slice(1, None) if by else slice(None, -1)
    return array[tuple(cut)]
