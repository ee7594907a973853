"""Lets a method that treats array axes unequally give the same result however a scan is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from medseg.types import Geometry


@dataclass(frozen=True)
class Canonical:
    """How to look at an array with its axes nearest to right, anterior, superior.

    - `flipped`: whether it runs backwards there.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def view(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of an array of shape (X, Y, Z); what is written into it is written into the array."""
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return array.transpose(self.axes)[steps]

    def spacing(self, geometry: Geometry) -> tuple[float, float, float]:
        """Spacing in mm along the axes of the view."""
        x, y, z = (geometry.spacing[axis] for axis in self.axes)
        return x, y, z


def canonical(geometry: Geometry) -> Canonical:
    """Return how to look at arrays on this grid in RAS+ order."""
    orientation = nib.io_orientation(geometry.affine)
    axes = np.argsort(orientation[:, 0])
    x, y, z = (int(axis) for axis in axes)
    a, b, c = (bool(orientation[axis, 1] < 0) for axis in axes)
    return Canonical((x, y, z), (a, b, c))
