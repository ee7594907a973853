"""The one rule for how images are turned: axes nearest RAS, radiological convention; 2D images as they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.types import Geometry, Source
from medseg.types.axis_order import AxisOrder, nearest_ras

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Plane:
    """A plane of an RAS volume: the axis it cuts, and the letters at its left and top edges on screen."""

    name: str
    axis: int
    left: str
    top: str

    @property
    def across(self) -> tuple[int, int]:
        """The two axes it shows: to the side, and up."""
        first, second = (axis for axis in range(3) if axis != self.axis)
        return first, second


# Radiological convention: the patient's right is on the left of the image.
PLANES = (Plane("axial", 2, "R", "A"), Plane("coronal", 1, "R", "S"), Plane("sagittal", 0, "A", "S"))


@dataclass(frozen=True)
class Cut:
    """One slice along a plane, and the box of it that is shown; the whole slice without one."""

    plane: Plane
    index: int
    box: tuple[slice, ...] | None = None


@dataclass(frozen=True)
class Orientation:
    """How the arrays on one grid are turned to be shown; views, no voxel is resampled."""

    order: AxisOrder  # to nearest RAS; nothing is moved in a 2D image
    shape: tuple[int, int, int]  # after turning
    spacing: tuple[float, float, float]
    is_2d: bool  # shown as it is stored, without a patient's sides

    @classmethod
    def from_geometry(cls, geometry: Geometry, source: Source | None = None) -> Orientation:
        """Orientation of a grid; one slice on the unit grid without a source is taken for a 2D image's labels."""
        unit = geometry.shape[2] == 1 and bool(np.array_equal(geometry.affine, np.eye(4)))
        is_2d = unit if source is None or source.format in ("array", "arrays") else source.format == "image2d"
        order = AxisOrder() if is_2d else nearest_ras(geometry)
        return cls(order, order.select(geometry.shape), order.select(geometry.spacing), is_2d)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes to show: one where there is a single slice."""
        flat = [plane for plane in PLANES if self.shape[plane.axis] == 1]
        return tuple(flat[:1]) or PLANES

    @property
    def acquired(self) -> Plane:
        """The plane slices were acquired in: across the largest spacing, axial where all are about the same."""
        if len(self.planes) == 1 or np.ptp(self.spacing) < 0.2 * min(self.spacing):
            return self.planes[0]
        return next(plane for plane in PLANES if plane.axis == int(np.argmax(self.spacing)))

    def slice_of(self, array: Array, cut: Cut) -> Array:
        """Rows and columns, shape (..., rows, columns), of one slice of an array turned before."""
        place: list[slice | int] = list(cut.box or (slice(None),) * 3)
        place[cut.plane.axis] = cut.index
        shown = array[(..., *place)]
        return shown.swapaxes(-1, -2) if self.is_2d else to_screen(shown)

    def fitted(self, cut: Cut, size: int) -> tuple[int, int]:
        """Width and height in pixels of what is shown, in true proportions; the longer is `size`."""
        counts = self.shape if cut.box is None else [side.stop - side.start for side in cut.box]
        width, height = (counts[axis] * self.spacing[axis] for axis in cut.plane.across)
        scale = size / max(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))


def to_screen(array: Array) -> Array:
    """Rows and columns of a plane: rows run down the screen, RAS axes up and, for radiologists, to the left."""
    return array.swapaxes(-1, -2)[..., ::-1, ::-1]


def largest_slice(labels: Array, plane: Plane) -> int:
    """Index of the slice with most labels; the middle one where there are none."""
    areas = np.count_nonzero(labels, axis=plane.across)
    return int(areas.argmax()) if areas.any() else labels.shape[plane.axis] // 2
