"""Decides the voxels between corners that disagree, looking only at classes that can win there.

In a cell, an interpolated score lies between the smallest and the largest of its 8 corners. A class whose largest lies
under another's smallest cannot win anywhere in the cell. Two classes are left as a rule, and then the sign of one
interpolated difference decides, however many classes there are. Where more are left, only they are interpolated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.infer.decision import Decision
from medseg.infer.flat_index import FlatScores

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]
# Score values gathered at a time; keeps the working memory at some 20 MB.
GATHERED = 1 << 19
# Voxels decided at a time.
VOXELS = 1 << 15


class Borders:
    """Cells of a slab whose corners disagree.

    - `scores`, shape (K, X, Y, n): corners of the cells.
    - `cells`, shape (M,): first corner of each cell along the three axes.
    - `linear`: the axes along which there is anything to interpolate; on others both corners are the same voxel.
    """

    def __init__(
        self,
        scores: Float32,
        cells: tuple[Index, Index, Index],
        linear: tuple[bool, bool, bool],
        decision: Decision,
    ) -> None:
        self._scores = FlatScores(scores)
        self._classes = len(scores)
        self._decision = decision
        self._at = self._scores.place(*cells)
        x, y, z = (s if wanted else 0 for s, wanted in zip(self._scores.strides, linear, strict=True))
        self._corners = np.array([i * x + j * y + k * z for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        count = self._at.size
        # Per cell: how many classes can win, where their list begins, the first and last of them, the lead of the last.
        self._count = np.zeros(count, dtype=np.intp)
        self._begin = np.zeros(count, dtype=np.intp)
        self._candidates: Index = np.zeros(0, dtype=np.intp)
        self._first = np.zeros(count, dtype=decision.dtype)
        self._last = np.zeros(count, dtype=decision.dtype)
        self._lead = np.zeros((8, count), dtype=np.float32)
        if not decision.regions:
            step = max(1, GATHERED // (2 * self._classes))
            lists = [self._compare(slice(begin, begin + step)) for begin in range(0, count, step)]
            self._candidates = np.concatenate([np.zeros(0, dtype=np.intp), *lists])
            many = self._count > 2
            self._begin[many] = np.cumsum(self._count[many]) - self._count[many]

    def decide(self, cell: Index, weights: tuple[Float32, Float32, Float32]) -> npt.NDArray[np.unsignedinteger]:
        """Outcome of some voxels.

        - `cell`, shape (V,): which of the cells each lies in.
        - `weights`, shape (V,): weight of the further corner along each axis.
        """
        decide = self._present if self._decision.regions else self._winner
        outcome = np.empty(cell.size, dtype=self._decision.dtype)
        for begin in range(0, cell.size, VOXELS):
            block = slice(begin, begin + VOXELS)
            block_weights = tuple(weight[block] for weight in weights)
            outcome[block] = decide(cell[block], block_weights)
        return outcome

    def _compare(self, cells: slice) -> Index:
        """Find the classes that can win in some cells, and by how much the last of them leads the first at each corner.

        - returns: the classes of each cell in which more than two can win, cell after cell, rising.
        """
        corners = self._corners[:, None] + self._at[cells]
        lowest = np.empty((self._classes, corners.shape[1]), dtype=np.float32)
        highest = np.empty_like(lowest)
        for index in range(self._classes):
            values = self._scores.take(corners, index)
            values.min(axis=0, out=lowest[index])
            values.max(axis=0, out=highest[index])
        possible = highest >= lowest.max(axis=0)
        first = possible.argmax(axis=0)
        last = self._classes - 1 - possible[::-1].argmax(axis=0)
        self._first[cells], self._last[cells] = first, last
        stride = self._scores.class_stride
        self._lead[:, cells] = self._scores.take(corners + last * stride)
        self._lead[:, cells] -= self._scores.take(corners + first * stride)
        self._count[cells] = count = np.count_nonzero(possible, axis=0)
        return np.nonzero(possible[:, count > 2].T)[1]

    def _winner(self, cell: Index, weights: tuple[Float32, ...]) -> npt.NDArray[np.unsignedinteger]:
        """Outcome where classes exclude each other."""
        ahead = _interpolate(self._lead.take(cell, axis=1), weights) > 0
        winner = np.where(ahead, self._last.take(cell), self._first.take(cell))
        count = self._count.take(cell)
        fewer, most = 2, 4
        while fewer < count.max(initial=0):
            # By doubling numbers of candidates, so that one cell with a hundred does not make all others wait.
            these = np.flatnonzero((count > fewer) & (count <= most))
            winner[these] = self._among(
                cell[these], tuple(weight[these] for weight in weights), min(most, self._classes)
            )
            fewer, most = most, 2 * most
        return winner

    def _among(self, cell: Index, weights: tuple[Float32, ...], most: int) -> npt.NDArray[np.unsignedinteger]:
        """Interpolate the candidates, at most so many, of the cells some voxels lie in; the largest wins."""
        corners = self._corners[:, None] + self._at[cell]
        begin, last = self._begin[cell], self._count[cell] - 1
        best = np.full(cell.size, -np.inf, dtype=np.float32)
        winner = np.zeros(cell.size, dtype=self._decision.dtype)
        for place in range(most):
            # A cell with fewer candidates repeats its last, which changes no winner.
            candidate = self._candidates.take(begin + np.minimum(place, last))
            score = _interpolate(self._scores.take(corners + candidate * self._scores.class_stride), weights)
            np.copyto(winner, candidate.astype(winner.dtype), where=score > best)
            np.maximum(best, score, out=best)
        return winner

    def _present(self, cell: Index, weights: tuple[Float32, ...]) -> npt.NDArray[np.unsignedinteger]:
        """Outcome where classes are regions that may overlap: each is interpolated."""
        corners = self._corners[:, None] + self._at[cell]
        every = (self._scores.take(corners, index) for index in range(self._classes))
        return self._decision.outcome([_interpolate(values, weights) for values in every])


def _interpolate(corners: Float32, weights: tuple[Float32, ...]) -> Float32:
    """Interpolate 8 corners, shape (8, V), X slowest, at some place in each cell; shape (V,)."""
    values = corners
    for weight in weights:
        half = len(values) // 2
        values = values[:half] + (values[half:] - values[:half]) * weight
    result: Float32 = values[0]
    return result
