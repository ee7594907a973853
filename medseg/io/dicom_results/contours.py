"""Between the pixels of a slice and the closed contours around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Polygon = npt.NDArray[np.float64]
# Pixels, and a fraction: how far the ends and the area of one contour that is given twice may be from each other.
ROUNDED, SAME_AREA = 0.1, 0.02


def fill(contours: Iterable[Polygon], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Find the pixels whose centers lie inside an odd number of contours.

    Odd, so that a contour inside another cuts a hole, and one inside the hole is an island; a keyhole, whose channel is
    walked in both directions, cuts the same hole. Centers exactly on a contour belong to the side it is the left or
    lower border of.

    Contours are the (N, 2) corners of closed polygons in voxel units, pixel centers at whole numbers; the mask is (X,
    Y).
    """
    crossings = np.zeros((shape[0] + 1, shape[1]), dtype=np.int32)
    for polygon in contours:
        start, stop = polygon, np.roll(polygon, -1, axis=0)
        low = np.where((start[:, 1] <= stop[:, 1])[:, None], start, stop)
        high = np.where((start[:, 1] <= stop[:, 1])[:, None], stop, start)
        first = np.clip(np.ceil(low[:, 1]), 0, shape[1]).astype(int)
        last = np.clip(np.ceil(high[:, 1]), 0, shape[1]).astype(int)  # not included
        count = last - first
        edge = np.repeat(np.arange(len(polygon)), count)
        rows = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        rise = high[edge] - low[edge]
        x = low[edge, 0] + (rows - low[edge, 1]) * rise[:, 0] / rise[:, 1]
        np.add.at(crossings, (np.clip(np.ceil(x), 0, shape[0]).astype(int), rows), 1)
    inside: npt.NDArray[np.bool_] = np.cumsum(crossings[:-1], axis=0) % 2 == 1
    return inside


def distinct(contours: Sequence[Polygon], shape: tuple[int, int]) -> list[Polygon]:
    """Drop contours that are there before: a contour given twice, in any direction, would be a hole in itself.

    Given twice is also one that was rounded in between: by its extent and its area no other can be meant.
    """
    kept: list[Polygon] = []
    for contour in contours:
        near = [other for other in kept if np.abs(_bounds(other) - _bounds(contour)).max() < 1]
        if any(_is_same(other, contour) for other in near):
            continue
        inside = fill([contour], shape) if near else None
        if inside is None or not inside.any() or not any(np.array_equal(fill([o], shape), inside) for o in near):
            kept.append(contour)
    return kept


def _is_same(one: Polygon, other: Polygon) -> bool:
    areas = abs(_area(one)), abs(_area(other))
    return bool(np.abs(_bounds(one) - _bounds(other)).max() <= ROUNDED and max(areas) * (1 - SAME_AREA) <= min(areas))


def _bounds(contour: Polygon) -> npt.NDArray[np.float64]:
    return np.concatenate([contour.min(axis=0), contour.max(axis=0)])


def trace(mask: npt.NDArray[Any]) -> list[Polygon]:
    """Draw closed contours around the pixels of a mask, half-way to their neighbors.

    Holes are cut by keyholes, as DICOM asks of a closed planar contour (PS3.3 C.8.8.6.3): the polygon walks to the
    hole, round it and back the same way. `fill` gives the mask back exactly. One polygon (N, 2), in voxel units, for
    each connected component.
    """
    from skimage.measure import find_contours

    components, _ = ndimage.label(mask)
    polygons = []
    for number, place in enumerate(ndimage.find_objects(components), start=1):
        component = np.pad(components[place] == number, 1).astype(np.float64)
        corner = np.array([place[0].start, place[1].start]) - 1
        loops = [_without_straight(loop[:-1] + corner) for loop in find_contours(component, 0.5, fully_connected="low")]
        loops.sort(key=lambda loop: abs(_area(loop)), reverse=True)
        outline = _turned(loops[0], 1)
        for hole in loops[1:]:
            outline = _keyhole(outline, _turned(hole, -1))
        polygons.append(outline)
    return polygons


def _keyhole(outline: Polygon, hole: Polygon) -> Polygon:
    """Walk the outline to the corner nearest the hole, cross over, round the hole, and back."""
    nearest, start = min(
        (
            (int(np.argmin(distances := ((outline - corner) ** 2).sum(axis=1))), index, float(distances.min()))
            for index, corner in enumerate(hole)
        ),
        key=lambda found: found[2],
    )[:2]
    round_trip = np.concatenate([np.roll(hole, -start, axis=0), hole[start : start + 1]])
    return np.concatenate([outline[: nearest + 1], round_trip, outline[nearest:]])


def _without_straight(loop: Polygon) -> Polygon:
    """Drop corners on a straight line between their neighbors."""
    before, after = loop - np.roll(loop, 1, axis=0), np.roll(loop, -1, axis=0) - loop
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    corners: Polygon = loop[turns != 0]
    return corners


def _area(loop: Polygon) -> float:
    x, y = loop.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _turned(loop: Polygon, sign: int) -> Polygon:
    return loop if _area(loop) * sign > 0 else loop[::-1]
