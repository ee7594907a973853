"""How the contours of a structure on one slice go together: holes, islands, parts that overlap, and copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from medseg.io.dicom_results.contours import Polygon, area, windings

# Pixels, and a fraction: how far the ends and the area of one contour that is given twice may be from each other.
ROUNDED, SAME_AREA = 0.1, 0.02
# Of a hole that reaches past the contour around it by a pixel, as rounding leaves it, how much must lie within.
MOST_OF_A_HOLE = 0.75


@dataclass(frozen=True, eq=False)
class Combined:
    """The pixels inside the contours of a slice, (X, Y), and how many contours are not as they should be."""

    inside: npt.NDArray[np.bool_]
    twice: int = 0  # there before: they count once
    joined: int = 0  # overlap another in part: they are one area with it
    edging: int = 0  # lie within another but for a pixel at its rim: they are a hole in it
    crossing: int = 0  # cross themselves or go round twice


@dataclass(frozen=True, eq=False)
class _Loop:
    """One contour, on the pixels it may hold."""

    polygon: Polygon
    corner: npt.NDArray[np.int64]  # first pixel of the window
    inside: npt.NDArray[np.bool_]
    crosses: bool

    @classmethod
    def from_polygon(cls, polygon: Polygon, shape: tuple[int, int]) -> _Loop:
        low = np.clip(np.floor(polygon.min(axis=0)), 0, shape).astype(np.int64)
        high = np.clip(np.ceil(polygon.max(axis=0)) + 1, low, shape).astype(np.int64)
        window = (int(high[0] - low[0]), int(high[1] - low[1]))
        around = windings([polygon], (int(low[0]), int(low[1])), window)
        least, most = int(around.min(initial=0)), int(around.max(initial=0))
        return cls(polygon, low, around % 2 == 1, least < -1 or most > 1 or least * most < 0)

    @cached_property
    def bounds(self) -> npt.NDArray[np.float64]:
        return np.concatenate([self.polygon.min(axis=0), self.polygon.max(axis=0)])

    @cached_property
    def count(self) -> int:
        return int(np.count_nonzero(self.inside))

    @property
    def window(self) -> tuple[slice, slice]:
        x, y = self.corner.tolist()
        return slice(x, x + self.inside.shape[0]), slice(y, y + self.inside.shape[1])

    def within(self, corner: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Pixels inside, on another window."""
        first = np.maximum(corner, self.corner)
        last = np.maximum(np.minimum(end, self.corner + self.inside.shape), first)
        moved = np.zeros(np.asarray(end - corner), bool)
        own = tuple(slice(a, b) for a, b in zip(first - self.corner, last - self.corner, strict=True))
        moved[tuple(slice(a, b) for a, b in zip(first - corner, last - corner, strict=True))] = self.inside[own]
        return moved


def combine(contours: Sequence[Polygon], shape: tuple[int, int]) -> Combined:
    """Find the pixels inside the contours of a slice.

    A contour inside another cuts a hole, and one inside the hole is an island, as in `fill`. Contours that overlap in
    part are one area. One that is there before, in any direction, counts once: it would be a hole in itself.
    """
    every = [_Loop.from_polygon(contour, shape) for contour in contours]
    loops = _distinct(every)
    parts, edging = _relations(loops)
    inside = np.zeros(shape, bool)
    count, group = connected_components(parts, directed=False) if len(loops) > 1 else (len(loops), np.zeros(1, int))
    for number in range(count):
        members = [loops[i] for i in np.flatnonzero(group == number)]
        if len(members) == 1:
            inside[members[0].window] ^= members[0].inside
            continue
        area_of_all = np.zeros(shape, bool)
        for member in members:
            area_of_all[member.window] |= member.inside
        inside ^= area_of_all
    return Combined(
        inside,
        twice=len(every) - len(loops),
        joined=int(parts.any(axis=0).sum()),
        edging=edging,
        crossing=sum(loop.crosses for loop in loops),
    )


def _distinct(loops: Sequence[_Loop]) -> list[_Loop]:
    """Drop contours that are there before, also with other roundings: by extent and area no other can be meant."""
    kept: list[int] = []
    bounds = np.array([loop.bounds for loop in loops]).reshape(-1, 4)
    for number, loop in enumerate(loops):
        off = np.abs(bounds[kept] - loop.bounds).max(axis=1)
        near = [(loops[kept[i]], off[i]) for i in np.flatnonzero(off < 1)]
        if not any(_is_same(other, loop, distance) for other, distance in near):
            kept.append(number)
    return [loops[i] for i in kept]


def _is_same(one: _Loop, other: _Loop, distance: float) -> bool:
    areas = abs(area(one.polygon)), abs(area(other.polygon))
    if distance <= ROUNDED and max(areas) * (1 - SAME_AREA) <= min(areas):
        return True
    return 0 < one.count == other.count == _common(one, other)


def _common(one: _Loop, other: _Loop) -> int:
    """How many pixels two contours share."""
    corner = np.maximum(one.corner, other.corner)
    end = np.minimum(one.corner + one.inside.shape, other.corner + other.inside.shape)
    if (end <= corner).any():
        return 0
    return int(np.count_nonzero(one.within(corner, end) & other.within(corner, end)))


def _relations(loops: Sequence[_Loop]) -> tuple[npt.NDArray[np.bool_], int]:
    """Which contours overlap in part, (N, N); and how many lie within another but for a pixel at its rim."""
    parts = np.zeros((len(loops), len(loops)), bool)
    edging = 0
    low = np.array([loop.corner for loop in loops]).reshape(-1, 2)
    high = low + np.array([loop.inside.shape for loop in loops]).reshape(-1, 2)
    for i, one in enumerate(loops):
        meets = (np.minimum(high[i], high[:i]) > np.maximum(low[i], low[:i])).all(axis=1)
        for j in np.flatnonzero(meets).tolist():
            small, large = sorted((one, loops[j]), key=lambda loop: loop.count)
            common = _common(small, large)
            if common == 0 or common == small.count < large.count:
                continue
            if common >= MOST_OF_A_HOLE * small.count and _is_edging(small, large):
                edging += 1
            else:
                parts[i, j] = parts[j, i] = True
    return parts, edging


def _is_edging(small: _Loop, large: _Loop) -> bool:
    """Whether one contour reaches past another by a pixel at most, and is not just the same contour moved."""
    corner = np.minimum(small.corner, large.corner) - 1
    end = np.maximum(small.corner + small.inside.shape, large.corner + large.inside.shape) + 1
    one, other = small.within(corner, end), large.within(corner, end)
    return bool(not (one & ~_grown(other)).any() and (other & ~_grown(one)).any())


def _grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3), bool)))
