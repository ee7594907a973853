"""From the places of single planes to one grid: for objects that omit slices with nothing on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation, ResourceLimit
from medseg.io.dicom.geometry import MOST_ROUNDED, rounding_of
from medseg.io.dicom.plane import LPS, SLACK, Plane
from medseg.types import Geometry

# Positions a damaged or hostile file may claim must not make arrays no machine holds.
MOST_VOXELS = 2**32
# Planes that are left may all be this many slices apart, at most, and no two of them neighbors.
MOST_PARTS = 5
# Frames at this many even distances of more than two slices are neighbors, whatever a file says of their thickness.
EVEN_FRAMES, FEW = 3, 2
FIX = "Export the labels again from the tool that made them, as NIfTI or NRRD."


@dataclass(frozen=True)
class Spacings:
    """What is known of how far slices are apart, in mm; None where nothing is."""

    source: float | None = None  # of the grid that the planes lie on
    stated: float | None = None  # from slice to slice
    thickness: float | None = None


@dataclass(frozen=True, eq=False)
class Grid:
    """The smallest grid that holds all planes."""

    geometry: Geometry
    slices: tuple[int, ...]  # on which each plane lies
    warnings: tuple[str, ...]


def grid_of(planes: Sequence[Plane], spacings: Spacings) -> Grid:
    """Return the smallest grid that holds all planes, and the slice each lies on.

    Slices follow the normal, the cross product of the directions along rows and columns. Slices between planes may be
    missing; where steps between planes lean from the normal, as in a tilted CT, the grid is sheared alike. The step is
    the source's, else the one stated, else the thickness, where it fits the positions, else the greatest that all
    positions have in common; what contradicts it, or is a guess, is a warning. Planes on no regular grid are a
    `FormatLimitation`.
    """
    first = planes[0]
    if any(p.size != first.size or not np.allclose(p.axes, first.axes, rtol=1e-3, atol=1e-4) for p in planes):
        raise FormatLimitation("the frames differ in size, orientation or pixel spacing", fix=FIX)
    normal = np.cross(*first.axes.T)
    normal = normal / np.linalg.norm(normal)
    positions = np.stack([plane.position for plane in planes])
    heights = positions @ normal
    rounding = rounding_of(positions)
    step, count, warnings = _step(np.unique(np.round(heights - heights.min(), 4)), spacings, rounding)
    slices = np.rint((heights - heights.min()) / step).astype(int)
    bottom, top = positions[np.argmin(heights)], positions[np.argmax(heights)]
    along = (top - bottom) / (count - 1) if count > 1 else normal * step
    slack = SLACK
    if rounding and count > 1:
        slack = max(SLACK, min(rounding / step, MOST_ROUNDED))
        aside = along - normal * (along @ normal)
        along = normal * step + (0 if np.linalg.norm(aside) * (count - 1) <= rounding else aside)
        bottom = (positions - slices[:, None] * along).mean(axis=0)
    if (np.linalg.norm(first.axes, axis=0) * first.size).max() > 1e6 or first.size[0] * first.size[
        1
    ] * count > MOST_VOXELS:
        raise ResourceLimit(f"the frames span {first.size[0]} x {first.size[1]} x {count} voxels", fix=FIX)
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 2], affine[:3, 3] = LPS @ first.axes, LPS @ along, LPS @ bottom
    geometry = Geometry(affine, (*first.size, count))
    off = np.abs(geometry.to_voxel(positions @ LPS) - np.stack([0 * slices, 0 * slices, slices], axis=1)).max()
    if off > slack:
        raise FormatLimitation(f"the frames do not lie on one regular grid (one is {off:.2g} voxels off)", fix=FIX)
    return Grid(geometry, tuple(slices.tolist()), warnings)


def step_along(geometry: Geometry, plane: Plane) -> float | None:
    """Distance of a grid's neighboring slices across a plane, mm; None where it has no two that are the plane's."""
    turned = np.linalg.solve(geometry.affine[:3, :3], LPS @ plane.axes)
    place = geometry.to_voxel(plane.position[None] @ LPS)
    if max(np.abs(one - np.rint(one)).max() for one in (turned, place)) > SLACK or not _is_turn(np.rint(turned)):
        return None
    across = int(np.argmin(np.abs(turned).sum(axis=1)))
    if geometry.shape[across] == 1:  # how far the next slice would be is a guess
        return None
    normal = LPS @ np.cross(*plane.axes.T)
    return float(abs(geometry.affine[:3, across] @ (normal / np.linalg.norm(normal))))


def _is_turn(axes: npt.NDArray[np.float64]) -> bool:
    """Whether two axes of a plane, in voxels of a grid, each follow an axis of the grid."""
    return bool((np.abs(axes).sum(axis=0) == 1).all() and np.abs(axes).sum(axis=1).max() == 1)


def _step(heights: npt.NDArray[np.float64], spacings: Spacings, rounding: float) -> tuple[float, int, tuple[str, ...]]:
    """Distance between slices, how many slices there are from the lowest to the highest height, and warnings."""
    source, stated, thickness = spacings.source, spacings.stated, spacings.thickness
    contradicts = bool(source and stated and abs(stated - source) > SLACK * source)
    if len(heights) == 1:
        step = source or stated or thickness
        if not step:
            raise FormatLimitation(
                "there is one slice, and the file says neither how thick it is nor how far the next one would be",
                fix="Give the series it was made of too.",
            )
        return step, 1, (_other_than(stated, step, "series"),) if contradicts else ()
    gaps = np.diff(heights)
    smallest = float(gaps.min())
    is_even = len(heights) >= EVEN_FRAMES and float(gaps.max()) - smallest <= max(SLACK * smallest, rounding)
    for whose, step in (("series", source), ("file", stated), ("thickness", thickness)):
        found = None if step is None else _fitting(heights, step, rounding)
        if found is None:
            continue
        slices_apart = round(smallest / found[0])
        if whose == "series":
            return *found, (_other_than(stated, found[0], "series"),) if contradicts else _rounded(heights, found)
        if whose == "file":
            return *found, (_sparse(smallest, found[0]),) if is_even and slices_apart > 1 else _rounded(heights, found)
        if is_even and slices_apart > FEW:
            break
        return *found, (_guessed(found[0], "their thickness"),) if slices_apart > 1 else _rounded(heights, found)
    for part in range(1, MOST_PARTS + 1):
        found = _fitting(heights, smallest / part, rounding)
        if found is not None:
            guess = (
                _other_than(stated, found[0], "frames")
                if stated
                else _guessed(found[0], "the step its frames have in common")
            )
            return *found, (guess,)
    raise FormatLimitation("the frames do not lie at equal distances", fix=FIX)


def _fitting(heights: npt.NDArray[np.float64], step: float, rounding: float) -> tuple[float, int] | None:
    """Step near another one that all heights have in common, and how many slices that makes; None where none does.

    Where positions were rounded, the step itself, if that is how it may have come.
    """
    count = round(heights[-1] / step)
    if count < 1:
        return None
    exact = float(heights[-1] / count)
    is_rounded = rounding > 0 and abs(exact - step) * count <= rounding
    nearest = step if is_rounded else exact
    slack = max(SLACK, min(rounding / step, MOST_ROUNDED))
    if np.abs(heights / nearest - np.rint(heights / nearest)).max() > slack:
        return None
    return (nearest, count + 1) if is_rounded or abs(exact - step) <= SLACK * step else None


def _rounded(heights: npt.NDArray[np.float64], found: tuple[float, int]) -> tuple[str, ...]:
    """Say that positions were rounded, where the step is not the one that they give."""
    step, count = found
    if abs(heights[-1] / (count - 1) - step) <= 1e-3 * step:
        return ()
    return (f"Positions are rounded to 0.1 mm; its slices were read as {step:.4g} mm apart, as stated",)


def _other_than(stated: float | None, step: float, whose: str) -> str:
    return (
        f"It says that its slices are {stated:.4g} mm apart; those of its {whose} are {step:.4g} mm apart, as was taken"
    )


def _sparse(apart: float, step: float) -> str:
    return (
        f"All its frames are {apart:.4g} mm apart; it says that slices are {step:.4g} mm apart, as was taken, so that "
        "there is nothing between the frames"
    )


def _guessed(step: float, what: str) -> str:
    return f"It does not say how far its slices are apart: {step:.4g} mm, {what}, were taken; check the volumes"
