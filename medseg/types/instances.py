"""Objects: the one truth from which every other encoding of instances is derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelTable

__all__ = ["InstanceRow", "Instances"]


@dataclass(frozen=True)
class InstanceRow:
    """One object, or one stuff region, of an instance map.

    Parameters
    ----------
    id : int
        Its value in the id map, 1 or more.
    class_value : int
        Its class in the label table.
    is_thing : bool
        False for a stuff region, which is one row however many pieces it has.
    voxels : int
        Number of voxels.
    score : float, optional
        Mean score of its class over its voxels, where scores were given.
    """

    id: int
    class_value: int
    is_thing: bool
    voxels: int
    score: float | None = None


@dataclass(frozen=True, eq=False)
class Instances:
    """Objects on a grid.

    Parameters
    ----------
    ids : ndarray of int32, shape (X, Y, Z)
        0 is background.
    geometry : Geometry
        Where the voxels lie.
    rows : tuple of InstanceRow
        One for each id in the map, in order of id.
    table : LabelTable
        What the classes mean.

    Raises
    ------
    InputError
        When ids and geometry disagree.
    """

    ids: npt.NDArray[Any]
    geometry: Geometry
    rows: tuple[InstanceRow, ...]
    table: LabelTable

    def __post_init__(self) -> None:
        if self.ids.shape != self.geometry.shape or self.ids.dtype != np.int32:
            raise InputError(
                f"instance ids must be int32 of shape {self.geometry.shape}, not {self.ids.dtype} {self.ids.shape}"
            )
