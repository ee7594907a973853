"""One plane of a scan with labels over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from medseg.draw.orientation import Cut, Orientation
from medseg.draw.outline import Layer, number_places, paint
from medseg.types import Geometry, Scan
from medseg.types.window import gray_levels, gray_window

BACKGROUND = (16, 18, 22)
INK = (230, 232, 236)
EMPTY = (34, 37, 44)  # where there is no scan to show


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What labels are drawn over."""

    orientation: Orientation
    image: npt.NDArray[Any] | None = None  # (1 or 3, X, Y, Z), turned: first channel of a scan, or colors of a 2D image
    window: tuple[float, float] = (0.0, 1.0)  # intensities drawn black and white

    @classmethod
    def from_scan(cls, scan: Scan | None, geometry: Geometry) -> Backdrop:
        """Turn a scan, or a grid without one."""
        if scan is None:
            return cls(Orientation.from_geometry(geometry))
        orientation = Orientation.from_geometry(geometry, scan.source)
        channels = scan.array[:3] if orientation.is_2d and scan.channels >= 3 else scan.array[:1]
        image = orientation.order.apply(channels)
        return cls(orientation, image, gray_window(image, scan.modality))


def plane_image(backdrop: Backdrop, cut: Cut, layers: Sequence[Layer], size: int) -> Image.Image:
    """Draw a slice in true proportions; the longer side has `size` pixels."""
    orientation = backdrop.orientation
    pixels = orientation.fitted(cut, size)
    if backdrop.image is None:
        base = Image.new("RGB", pixels, EMPTY)
    else:
        levels = gray_levels(orientation.slice_of(backdrop.image, cut), backdrop.window)
        colors = np.ascontiguousarray(np.broadcast_to(levels, (3, *levels.shape[1:])).transpose(1, 2, 0))
        base = Image.fromarray(colors).resize(pixels, Image.Resampling.BICUBIC)
    shown = np.array(base)
    for layer in layers:
        paint(shown, orientation.slice_of(layer.values, cut), layer)
    image = Image.fromarray(shown)
    for layer in layers:
        if layer.numbered:
            for value, row, column in number_places(orientation.slice_of(layer.values, cut), shown.shape[:2]):
                _write(ImageDraw.Draw(image), (column, row), str(value), "mm")
    return image


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, anchor: str) -> None:
    """Write light on a dark edge, to be read on any scan."""
    draw.text(place, text, fill=INK, font=font(13), anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)


def pane(backdrop: Backdrop, cut: Cut, layers: Sequence[Layer], size: int) -> Image.Image:
    """Draw a slice in the middle of a square, with its name and the patient's sides."""
    image = plane_image(backdrop, cut, layers, size)
    drawn = Image.new("RGB", (size, size), BACKGROUND)
    drawn.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    if backdrop.orientation.is_2d:
        return drawn
    draw, plane = ImageDraw.Draw(drawn), cut.plane
    for text, place, anchor in (
        (plane.left, (4, size // 2), "lm"),
        (plane.top, (size // 2, 2), "ma"),
        (f"{plane.name} {cut.index + 1}/{backdrop.orientation.shape[plane.axis]}", (4, size - 4), "ld"),
    ):
        _write(draw, place, text, anchor)
    return drawn


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all that is written on an image."""
    return ImageFont.load_default(size)
