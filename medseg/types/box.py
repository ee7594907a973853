"""A box of voxels, and the smallest one that holds what matters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Box:
    """A box of voxels, ``start`` included and ``stop`` not, along the three spatial axes."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in an array of shape (..., X, Y, Z), after an ellipsis."""
        x, y, z = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return x, y, z

    @classmethod
    def whole(cls, shape: tuple[int, int, int]) -> Box:
        """Return the box that holds everything."""
        return cls((0, 0, 0), shape)

    @classmethod
    def around(cls, indices: Sequence[npt.NDArray[np.intp]]) -> Box:
        """Return the smallest box that holds ascending indices along each axis."""
        x, y, z = (int(along[0]) for along in indices)
        u, v, w = (int(along[-1]) + 1 for along in indices)
        return cls((x, y, z), (u, v, w))


def nonzero_box(array: npt.NDArray[Any]) -> Box:
    """Smallest box outside which every channel of (C, X, Y, Z) is 0; the whole array where nothing else is.

    NaN counts as 0: it is what some tools write outside the field of view.
    """
    return _box(array, lambda plane: (plane != 0) & ~np.isnan(plane) if plane.dtype.kind == "f" else plane != 0)


def box_above(array: npt.NDArray[Any], threshold: float) -> Box:
    """Smallest box outside which no channel of (C, X, Y, Z) exceeds a threshold; the whole array where nothing does."""
    return _box(array, lambda plane: plane > threshold)


def _box(array: npt.NDArray[Any], inside: Callable[[npt.NDArray[Any]], npt.NDArray[np.bool_]]) -> Box:
    """Box of the voxels for which `inside` holds, one plane at a time."""
    shape = (int(array.shape[1]), int(array.shape[2]), int(array.shape[3]))
    used = occupied(((k, inside(channel[:, :, k])) for channel in array for k in range(shape[2])), shape)
    return Box.whole(shape) if used is None else Box.around(used)


def occupied(
    planes: Iterable[tuple[int, npt.NDArray[np.bool_]]], shape: tuple[int, int, int]
) -> list[npt.NDArray[np.intp]] | None:
    """Indices along each axis at which a mask has a voxel, of its planes (X, Y) and their numbers; None without one."""
    used = [np.zeros(n, dtype=bool) for n in shape]
    for k, found in planes:
        along_x = found.any(axis=1)
        if along_x.any():
            used[0] |= along_x
            used[1] |= found.any(axis=0)
            used[2][k] = True
    return [np.flatnonzero(one) for one in used] if used[2].any() else None
