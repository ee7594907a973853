"""How the contours of a structure on one slice go together: holes, islands, parts that overlap, and copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medseg.io.dicom_results.contours import Polygon, area, windings

# Pixels, and a fraction: how far the ends and the area of one contour that is given twice may be from each other.
ROUNDED, SAME_AREA = 0.1, 0.02
# Of a hole that reaches past the contour around it by a pixel, as rounding leaves it, how much must lie within.
MOST_OF_A_HOLE = 0.75
CELL = 16  # pixels; contours that share no cell of so many by so many are not compared


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
    for members in _groups(loops, parts):
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
        joined=len({number for pair in parts for number in pair}),
        edging=edging,
        crossing=sum(loop.crosses for loop in loops),
    )


def _groups(loops: Sequence[_Loop], parts: Sequence[tuple[int, int]]) -> Iterator[list[_Loop]]:
    """Yield the contours that overlap in part, directly or by others, together, and each other one alone."""
    pairs = np.array(parts, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(parts), bool), (pairs[0], pairs[1])), shape=(len(loops), len(loops)))
    groups: dict[int, list[_Loop]] = defaultdict(list)
    for loop, number in zip(loops, connected_components(graph, directed=False)[1].tolist(), strict=True):
        groups[number].append(loop)
    yield from groups.values()


def _distinct(loops: Sequence[_Loop]) -> list[_Loop]:
    """Drop contours that are there before, also with other roundings: by extent and area no other can be meant."""
    kept: list[_Loop] = []
    at: dict[tuple[int, int], list[_Loop]] = defaultdict(list)  # by the pixel that their extent begins in
    for loop in loops:
        x, y = np.floor(loop.bounds[:2]).astype(int).tolist()
        around = [other for a in (x - 1, x, x + 1) for b in (y - 1, y, y + 1) for other in at.get((a, b), ())]
        off = np.abs(np.array([other.bounds for other in around]).reshape(-1, 4) - loop.bounds).max(axis=1)
        if not any(_is_same(around[i], loop, off[i]) for i in np.flatnonzero(off < 1)):
            kept.append(loop)
            at[x, y].append(loop)
    return kept


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


def _relations(loops: Sequence[_Loop]) -> tuple[list[tuple[int, int]], int]:
    """Which contours overlap in part, as pairs; and how many lie within another but for a pixel at its rim."""
    parts: list[tuple[int, int]] = []
    edging = 0
    for i, j in _meeting(loops):
        small, large = sorted((loops[i], loops[j]), key=lambda loop: loop.count)
        common = _common(small, large)
        if common == 0 or common == small.count < large.count:
            continue
        if common >= MOST_OF_A_HOLE * small.count and _is_edging(small, large):
            edging += 1
        else:
            parts.append((i, j))
    return parts, edging


def _meeting(loops: Sequence[_Loop]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of contours whose windows share pixels; thousands of specks are not compared by pairs."""
    low = np.array([loop.corner for loop in loops]).reshape(-1, 2)
    high = low + np.array([loop.inside.shape for loop in loops]).reshape(-1, 2)
    within: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i in np.flatnonzero((high > low).all(axis=1)).tolist():
        (x0, y0), (x1, y1) = (low[i] // CELL).tolist(), ((high[i] - 1) // CELL).tolist()
        cells = [within[x, y] for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)]
        before = np.array(sorted(set().union(*cells)), int)
        meets = (np.minimum(high[i], high[before]) > np.maximum(low[i], low[before])).all(axis=1)
        yield from ((i, j) for j in before[meets].tolist())
        for cell in cells:
            cell.append(i)


def _is_edging(small: _Loop, large: _Loop) -> bool:
    """Whether one contour reaches past another by a pixel at most, and is not just the same contour moved."""
    corner = np.minimum(small.corner, large.corner) - 1
    end = np.maximum(small.corner + small.inside.shape, large.corner + large.inside.shape) + 1
    one, other = small.within(corner, end), large.within(corner, end)
    return bool(not (one & ~_grown(other)).any() and (other & ~_grown(one)).any())


def _grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3), bool)))
