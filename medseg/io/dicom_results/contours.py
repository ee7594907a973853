"""Between the pixels of a slice and the closed contours around them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Polygon = npt.NDArray[np.float64]


def fill(contours: Iterable[Polygon], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Find the pixels whose centers lie inside an odd number of contours.

    Odd, so that a contour inside another cuts a hole, and one inside the hole is an island; a keyhole, whose channel is
    walked in both directions, cuts the same hole. Centers exactly on a contour belong to the side it is the left or
    lower border of.

    Contours are the (N, 2) corners of closed polygons in voxel units, pixel centers at whole numbers; the mask is (X,
    Y).
    """
    inside: npt.NDArray[np.bool_] = windings(contours, (0, 0), shape) % 2 == 1
    return inside


def windings(contours: Iterable[Polygon], corner: tuple[int, int], shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Count how often contours go round each pixel center of a window, those that go the other way as negative.

    - `corner`, `shape`: the window's first pixel, and its pixels along x and y.
    """
    crossings = np.zeros((shape[0] + 1, shape[1]), dtype=np.int32)
    for polygon in contours:
        start, stop = polygon, np.roll(polygon, -1, axis=0)
        rises = start[:, 1] <= stop[:, 1]
        low = np.where(rises[:, None], start, stop)
        high = np.where(rises[:, None], stop, start)
        first = np.clip(np.ceil(low[:, 1]), corner[1], corner[1] + shape[1]).astype(int)
        last = np.clip(np.ceil(high[:, 1]), corner[1], corner[1] + shape[1]).astype(int)  # not included
        count = last - first
        edge = np.repeat(np.arange(len(polygon)), count)
        rows = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        rise = high[edge] - low[edge]
        x = low[edge, 0] + (rows - low[edge, 1]) * rise[:, 0] / rise[:, 1]
        columns = np.clip(np.ceil(x), corner[0], corner[0] + shape[0]).astype(int)
        np.add.at(crossings, (columns - corner[0], rows - corner[1]), np.where(rises, 1, -1)[edge])
    around: npt.NDArray[np.int32] = np.cumsum(crossings[:-1], axis=0, dtype=np.int32)
    return around


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
        loops.sort(key=lambda loop: abs(area(loop)), reverse=True)
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


def area(loop: Polygon) -> float:
    """Area inside a polygon; negative where it goes clockwise."""
    x, y = loop.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _turned(loop: Polygon, sign: int) -> Polygon:
    return loop if area(loop) * sign > 0 else loop[::-1]
