"""Draws two time points beside each other in one space, with their objects outlined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from medseg.draw.orientation import Cut, Orientation
from medseg.draw.outline import Color, Layer
from medseg.draw.panes import BACKGROUND, INK, Backdrop, font, plane_image
from medseg.types import Geometry

GAP = 8
# Okabe and Ito's colors; the words stand beside each figure too.
COLORS: Mapping[str, Color] = {
    "new": (213, 94, 0),
    "gone": (204, 121, 167),
    "grown": (230, 159, 0),
    "shrunk": (86, 180, 233),
    "unchanged": (0, 158, 115),
    "not covered": (150, 150, 150),
}
OTHER: Color = (240, 228, 66)  # split, merged, regrouped


@dataclass(frozen=True, eq=False)
class ShownTime:
    """One slice of one time, on a grid that both share.

    - `image`: shape (X, Y, Z), None where there is no scan; `objects`: the number of each object, shape (X, Y, Z).
    - `window`: intensities drawn black and white.
    """

    image: npt.NDArray[Any] | None
    objects: npt.NDArray[Any]
    window: tuple[float, float] = (0.0, 1.0)


def color_of(word: str) -> Color:
    """Color of what became of an object."""
    return COLORS.get(word, OTHER)


def draw_times(
    grid: Geometry, before: ShownTime, after: ShownTime, words: Mapping[int, str], *, chosen: int = 0, size: int = 340
) -> Image.Image:
    """Draw one slice at both times, the earlier on the left.

    - `grid`: one slice thick along one axis.
    - `words`: what became of each object, by its number.
    - `chosen`: the object the figure is of; the others have thinner outlines.
    """
    orientation = Orientation.from_geometry(grid)
    plane = next(plane for plane in orientation.planes if orientation.shape[plane.axis] == 1)
    image = Image.new("RGB", (2 * size + GAP, size), BACKGROUND)
    for number, time in enumerate((before, after)):
        values = orientation.order.apply(time.objects)
        layers = [
            Layer(np.where(values == chosen, 0, values), lambda n: color_of(words[n])),
            Layer(np.where(values == chosen, values, 0), lambda n: color_of(words[n]), width=2),
        ]
        turned = None if time.image is None else orientation.order.apply(time.image[None])
        backdrop = Backdrop(orientation, turned, time.window)
        shown = plane_image(backdrop, Cut(plane, 0), layers, size)
        left = number * (size + GAP)
        image.paste(shown, (left + (size - shown.width) // 2, (size - shown.height) // 2))
        draw = ImageDraw.Draw(image)
        for text, place, anchor in (
            (plane.left, (left + 4, size // 2), "lm"),
            (plane.top, (left + size // 2, 2), "ma"),
            (f"{plane.name}, {'after' if number else 'before'}", (left + 4, size - 4), "ld"),
        ):
            draw.text(place, text, fill=INK, font=font(13), anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)
    return image
