"""What a reader marks of a class: voxels that belong to it and voxels that do not, and the box that is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError

Array = npt.NDArray[Any]

MARGIN = 24  # voxels around the marks
MOST_SIDE = 96  # voxels; what a person waits for grows faster than the box


@dataclass(frozen=True, eq=False)
class Marks:
    """Marked voxels of one class.

    Parameters
    ----------
    inside, outside : ndarray of int, shape (N, 3)
        Voxels that belong to the class, and voxels that do not; indices along X, Y, Z.

    Raises
    ------
    InputError
        When nothing is marked as belonging to the class, or a voxel is marked as both.
    """

    inside: Array
    outside: Array

    def __post_init__(self) -> None:
        if not len(self.inside):
            raise InputError(
                "nothing is marked as belonging to the class", fix="Mark at least one voxel that belongs to it."
            )
        if {*map(tuple, self.inside.tolist())} & {*map(tuple, self.outside.tolist())}:
            raise InputError("a voxel is marked both as belonging to the class and not", fix="Mark it as one of them.")

    def __repr__(self) -> str:
        return f"Marks({len(self.inside)} inside, {len(self.outside)} outside)"


@dataclass(frozen=True)
class Box:
    """A box of voxels: its lowest corner and its size along X, Y, Z."""

    low: tuple[int, int, int]
    size: tuple[int, int, int]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The part of a volume that lies in the box."""
        x, y, z = (slice(low, low + size) for low, size in zip(self.low, self.size, strict=True))
        return x, y, z


def box_around(voxels: Array, shape: tuple[int, int, int], margin: Array | int = MARGIN) -> Box:
    """Return the box around marks: a margin on every side, at most 96 voxels along an axis, and inside the scan.

    Parameters
    ----------
    voxels : ndarray of int, shape (N, 3)
        What is marked; not empty.
    margin : int or ndarray of int, shape (3,)
        Voxels on every side.

    Raises
    ------
    InputError
        When a mark lies outside the scan, or the marks lie too far from each other.
    """
    low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
    if (low < 0).any() or (high > shape).any():
        raise InputError("a mark lies outside the scan", fix=f"Give voxels within {shape}.")
    if (high - low > MOST_SIDE).any():
        raise InputError(
            f"the marks lie {int((high - low).max())} voxels apart, more than the {MOST_SIDE} of a box",
            fix="Mark one part after the other.",
        )
    size = np.minimum(np.minimum(high - low + 2 * np.asarray(margin), MOST_SIDE), shape)
    start = np.clip((low + high - size) // 2, 0, np.array(shape) - size)
    return Box((int(start[0]), int(start[1]), int(start[2])), (int(size[0]), int(size[1]), int(size[2])))
