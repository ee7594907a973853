"""From the places of single planes to one grid: for objects that omit slices with nothing on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation, ResourceLimit
from medseg.io.dicom.plane import LPS, SLACK, Plane
from medseg.types import Geometry

# Positions a damaged or hostile file may claim must not make arrays no machine holds.
MOST_VOXELS = 2**32
# Planes that are left may all be this many slices apart, at most, and no two of them neighbors.
MOST_PARTS = 5
FIX = "Export the labels again from the tool that made them, as NIfTI or NRRD."


def grid_of(planes: Sequence[Plane], spacings: Sequence[float]) -> tuple[Geometry, list[int]]:
    """Return the smallest grid that holds all planes, and the slice each lies on.

    Slices follow the normal, the cross product of the directions along rows and columns. Slices between planes may be
    missing; where steps between planes lean from the normal, as in a tilted CT, the grid is sheared alike. Of
    `spacings`, which may be those of the slices, in mm, the first that fits the positions is used, else the greatest
    step that all positions have in common. Planes on no regular grid are a `FormatLimitation`.
    """
    first = planes[0]
    if any(p.size != first.size or not np.allclose(p.axes, first.axes, rtol=1e-3, atol=1e-4) for p in planes):
        raise FormatLimitation("the frames differ in size, orientation or pixel spacing", fix=FIX)
    normal = np.cross(*first.axes.T)
    normal = normal / np.linalg.norm(normal)
    positions = np.stack([plane.position for plane in planes])
    heights = positions @ normal
    step, count = _step(np.unique(np.round(heights - heights.min(), 4)), [abs(s) for s in spacings])
    slices = np.rint((heights - heights.min()) / step).astype(int)
    bottom, top = positions[np.argmin(heights)], positions[np.argmax(heights)]
    along = (top - bottom) / (count - 1) if count > 1 else normal * step
    if (np.linalg.norm(first.axes, axis=0) * first.size).max() > 1e6 or first.size[0] * first.size[
        1
    ] * count > MOST_VOXELS:
        raise ResourceLimit(f"the frames span {first.size[0]} x {first.size[1]} x {count} voxels", fix=FIX)
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 2], affine[:3, 3] = LPS @ first.axes, LPS @ along, LPS @ bottom
    geometry = Geometry(affine, (*first.size, count))
    off = np.abs(geometry.to_voxel(positions @ LPS) - np.stack([0 * slices, 0 * slices, slices], axis=1)).max()
    if off > SLACK:
        raise FormatLimitation(f"the frames do not lie on one regular grid (one is {off:.2g} voxels off)", fix=FIX)
    return geometry, slices.tolist()


def step_along(geometry: Geometry, plane: Plane) -> float:
    """Distance of a grid's neighboring slices across a plane, mm: along the axis that crosses it most steeply."""
    normal = LPS @ np.cross(*plane.axes.T)
    across = np.abs(geometry.affine[:3, :3].T @ (normal / np.linalg.norm(normal)))
    return float(across[np.argmax(across / geometry.spacing)])


def _step(heights: npt.NDArray[np.float64], stated: Sequence[float]) -> tuple[float, int]:
    """Distance between slices, and how many slices there are from the lowest to the highest height."""
    if len(heights) == 1:
        if not stated:
            raise FormatLimitation(
                "there is one slice, and the file says neither how thick it is nor how far the next one would be",
                fix="Give the series it was made of too.",
            )
        return stated[0], 1
    smallest = float(np.diff(heights).min())
    for step in [*stated, *(smallest / part for part in range(1, MOST_PARTS + 1))]:
        count = round(heights[-1] / step)
        if count >= 1:
            exact = heights[-1] / count
            if np.abs(heights / exact - np.rint(heights / exact)).max() <= SLACK and abs(exact - step) <= SLACK * step:
                return exact, count + 1
    raise FormatLimitation("the frames do not lie at equal distances", fix=FIX)
