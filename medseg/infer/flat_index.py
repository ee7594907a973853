"""Looks up scores at scattered voxels: by their place in memory, several times faster than by three indices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]


class FlatScores:
    """A flat view of some scores, however they lie in memory.

    - `scores`, shape (K, X, Y, n): not copied.
    """

    def __init__(self, scores: Float32) -> None:
        strides = [s // scores.itemsize for s in scores.strides]
        reach = sum((n - 1) * s for n, s in zip(scores.shape, strides, strict=True)) + 1
        # One view of everything between the first and the last score, whatever lies between rows.
        self._all = np.lib.stride_tricks.as_strided(scores, (reach,), (scores.itemsize,), writeable=False)
        self.classes = len(scores)
        self.class_stride = strides[0]
        self.strides = strides[1], strides[2], strides[3]
        """Scores from a voxel to the next along each axis."""

    def place(self, x: Index, y: Index, z: Index) -> Index:
        """Places of some voxels, of class 0."""
        a, b, c = self.strides
        return x * a + y * b + z * c

    def take(self, places: Index, of_class: int = 0) -> Float32:
        """Scores of one class at some places; any shape."""
        return self._all[of_class * self.class_stride :].take(places)

    def at(self, x: Index, y: Index, z: Index) -> Float32:
        """Scores of every class at some voxels, shape (K, V)."""
        places = self.place(x, y, z)
        result = np.empty((self.classes, places.size), dtype=np.float32)
        for index, values in enumerate(result):
            values[...] = self.take(places, index)
        return result


def unravel(flat: Index, shape: tuple[int, ...]) -> tuple[Index, Index, Index]:
    """Indices along three axes; with `numpy.flatnonzero` much faster than `numpy.nonzero` where little is found."""
    first, rest = np.divmod(flat, shape[1] * shape[2])
    second, third = np.divmod(rest, shape[2])
    return first, second, third
