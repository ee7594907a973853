"""Fills and outlines of labels at the size of the screen, smooth where the grid is coarse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Color = tuple[int, int, int]
Mask = npt.NDArray[np.bool_]
# Sky blue and orange of Okabe and Ito: distinguished with every common kind of color vision, and from gray.
REFERENCE: Color = (86, 180, 233)
PREDICTION: Color = (255, 159, 28)
LEAST_ROOM = 8.0  # pixels around a number to the edge of what it stands on
DASH = 7  # pixels; a third of a dashed outline is open


@dataclass(frozen=True, eq=False)
class Layer:
    """Labels to draw over an image."""

    values: npt.NDArray[Any]  # (X, Y, Z), classes or ids of objects, turned as the image is; 0 is not drawn
    color: Callable[[int], Color]
    fill: float = 0.0  # how much of the color covers the inside, 0 to 1
    width: int = 1  # of the outline in pixels; 0 draws none
    dashed: bool = False  # so that two outlines are distinguished in gray too
    numbered: bool = False  # each value is written where it is widest, for those who do not see the colors


def paint(base: npt.NDArray[np.uint8], values: npt.NDArray[Any], layer: Layer) -> None:
    """Draw one plane of a layer, shape (rows, columns), into an RGB image of the screen's size, in place."""
    for value, place, inside in _shapes(values, base.shape[:2]):
        color = np.asarray(layer.color(value), np.float32)
        shown = base[place]
        if layer.fill:
            shown[inside] = ((1 - layer.fill) * shown[inside] + layer.fill * color).round().astype(np.uint8)
        if layer.width:
            grown = np.pad(inside, 1)  # an object at the edge of the image is outlined there too
            core = ndimage.binary_erosion(grown, iterations=layer.width)[1:-1, 1:-1]
            line = inside & ~core
            shown[line & _dashes(line.shape, place) if layer.dashed else line] = color.astype(np.uint8)


def number_places(values: npt.NDArray[Any], size: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Each value of a plane, with the row and column of its number: where it is widest, or beside it if narrow."""
    for value, place, inside in _shapes(values, size):
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        row, column = (int(at) for at in np.unravel_index(depth.argmax(), depth.shape))
        if not inside.any():
            continue
        if depth.max() < LEAST_ROOM:  # past its right edge in that row, or its left edge at the image's end
            across = np.flatnonzero(inside[row])
            column = int(across[-1] + LEAST_ROOM)
            if place[1].start + column > size[1] - LEAST_ROOM:
                column = int(across[0] - LEAST_ROOM)
        yield value, row + place[0].start, column + place[1].start


def _dashes(shape: tuple[int, ...], place: tuple[slice, slice]) -> Mask:
    """Stripes across a box of the screen, which cut an outline into dashes wherever it runs."""
    rows, columns = np.indices(shape)
    return np.asarray((rows + place[0].start + 2 * (columns + place[1].start)) // DASH % 3 != 0)


def _shapes(values: npt.NDArray[Any], size: tuple[int, ...]) -> Iterator[tuple[int, tuple[slice, slice], Mask]]:
    """Each value, the part of the screen it lies in, and its mask there."""
    scale = size[0] / values.shape[0], size[1] / values.shape[1]
    pad = 2 + math.ceil(1 / min(scale))
    present = np.unique(values[values > 0])
    numbers = np.where(values > 0, np.searchsorted(present, values) + 1, 0)
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        mask = Image.fromarray(np.pad((numbers[box] == number).astype(np.uint8) * 255, pad))
        (top, low), (left, right) = (
            (max(0, math.floor((side.start - 1) * s)), min(n, math.ceil((side.stop + 1) * s)))
            for side, s, n in zip(box, scale, size, strict=True)
        )
        y, x = (side.start - pad for side in box)
        source = (left / scale[1] - x, top / scale[0] - y, right / scale[1] - x, low / scale[0] - y)
        fine = mask.resize((right - left, low - top), Image.Resampling.BILINEAR, box=source)
        yield int(present[number - 1]), (slice(top, low), slice(left, right)), np.asarray(fine) >= 128
