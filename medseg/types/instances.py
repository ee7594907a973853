"""Objects: the one truth from which every other encoding of instances is derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.types.box import Box
from medseg.types.class_values import ClassValues
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelTable
from medseg.types.scan import Case


@dataclass(frozen=True)
class InstanceMeasures:
    """How large an object is, where it lies and what shape it has."""

    volume_ml: float  # of a 2D image, with the thickness its header states
    centroid_mm: tuple[float, float, float]  # mean position of its voxel centers in world coordinates, mm RAS+
    start: tuple[int, int, int]  # its bounding box in voxels along (X, Y, Z): the first index inside
    stop: tuple[int, int, int]  # and the first beyond
    # Longest distance between two of its points, see `medseg.post.diameter`; None for stuff.
    diameter_mm: float | None = None
    # 1 for a ball, less for anything else, see `medseg.post.surface_area`; None for stuff.
    sphericity: float | None = None
    mean_intensity: tuple[float, ...] | None = None  # of each channel of a scan, where one was given
    # Within one slice, see `medseg.post.in_plane_axes`: the longest diameter, and the longest perpendicular to that.
    long_axis_mm: float | None = None
    short_axis_mm: float | None = None
    values: tuple[ClassValues, ...] = ()  # all that is known of each channel's values inside it

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The bounding box as slices that cut it out of an array of shape (X, Y, Z)."""
        return Box(self.start, self.stop).slices


@dataclass(frozen=True)
class InstanceRow:
    """One object, or one stuff region, of an instance map."""

    id: int  # its value in the id map, 1 or more
    class_value: int
    is_thing: bool  # False for a stuff region, which is one row however many components it has
    voxels: int
    score: float | None = None  # mean probability of its class over its voxels, where probabilities were given
    measures: InstanceMeasures | None = None


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
                f"instance ids must be int32 of shape {self.geometry.shape}, not {self.ids.dtype} {self.ids.shape}",
                fix="Convert with `numpy.ndarray.astype(numpy.int32)`, or give the right geometry.",
            )

    def __repr__(self) -> str:
        return f"Instances({self.geometry.summary}, objects={sum(row.is_thing for row in self.rows)})"


@dataclass(frozen=True, eq=False)
class ObjectsOfCase:
    """Objects, and the case they were found in."""

    instances: Instances
    case: Case
