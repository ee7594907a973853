"""A box of voxels, and the smallest one that holds what matters."""

from __future__ import annotations

from collections.abc import Callable
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
    used = [np.zeros(n, dtype=bool) for n in shape]
    for channel in array:
        for k in range(shape[2]):
            found = inside(channel[:, :, k])
            along_x = found.any(axis=1)
            if along_x.any():
                used[0] |= along_x
                used[1] |= found.any(axis=0)
                used[2][k] = True
    if not used[2].any():
        return Box.whole(shape)
    occupied = [np.flatnonzero(u) for u in used]
    x, y, z = (int(i[0]) for i in occupied)
    u, v, w = (int(i[-1]) + 1 for i in occupied)
    return Box((x, y, z), (u, v, w))
