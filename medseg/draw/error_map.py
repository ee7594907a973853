"""Draws the surfaces of a reference and a prediction, colored by how far each point is from the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from medseg.draw.orientation import PLANES, Plane, to_screen
from medseg.draw.overlay import GAP
from medseg.draw.panes import BACKGROUND, INK, font

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# From the gray of bone, where all is well, to colors that stand out more the worse it is.
COLORS = np.array([[214, 220, 224], [250, 222, 130], [250, 170, 60], [236, 96, 44], [206, 28, 68], [140, 0, 120]])
SCALE_WIDTH = 60
LABEL_HEIGHT = 20


@dataclass(frozen=True)
class _View:
    """From where a surface is looked at: along the axis of a plane, from its near end or its far end."""

    name: str
    plane: Plane
    far_side: bool


@dataclass(frozen=True, eq=False)
class SurfaceErrors:
    """Border voxels of reference and prediction, and their distances to the other in mm."""

    points: tuple[Indices, Indices]  # shape (n, 3) each
    distances: tuple[Floats, Floats]  # infinite where the other has nothing of the class
    place: tuple[int, int, int]  # the voxel furthest from its counterpart, or the middle of what has none
    spacing: tuple[float, float, float]

    @property
    def largest(self) -> float:
        """Largest finite distance, 0 where there is none."""
        every = np.concatenate(self.distances)
        return float(every[np.isfinite(every)].max(initial=0.0))


def draw_error_map(errors: SurfaceErrors, *, size: int = 186) -> Image.Image:
    """Draw both surfaces seen from the front, from the patient's left and from below, with a scale of colors.

    The scale ends at the 98th percentile of the distances, rounded up, so that a stray voxel does not take the color
    from all others; what is further away, or has no counterpart at all, has the last color.
    """
    every = np.concatenate(errors.distances)
    finite = every[np.isfinite(every)]
    top = max(2.0, float(np.ceil(np.percentile(finite, 98)))) if len(finite) else 2.0
    axial, coronal, sagittal = PLANES
    views = [_View("front", coronal, True), _View("left", sagittal, False), _View("below", axial, False)]
    image = Image.new("RGB", (6 * (size + GAP) + SCALE_WIDTH, size + LABEL_HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    panes = [(side, view) for side in (0, 1) for view in views]
    for number, (side, view) in enumerate(panes):
        left = number * (size + GAP)
        image.paste(_draw_view(errors, side, view, top, size), (left, 0))
        text = f"{('reference', 'prediction')[side]}, {view.name}"
        draw.text((left + size // 2, size + 2), text, fill=INK, font=font(12), anchor="ma")
    _scale(image, draw, top, bool(len(every)) and bool(every.max() > top))
    return image


def _draw_view(errors: SurfaceErrors, side: int, view: _View, top: float, size: int) -> Image.Image:
    """One surface along one axis, the nearest voxel of each line of sight, lit from the viewer's upper left."""
    pane = Image.new("RGB", (size, size), BACKGROUND)
    points, mm, spacing = errors.points[side], errors.distances[side], errors.spacing
    if not len(points):
        return pane
    axis, (across, up) = view.plane.axis, view.plane.across
    every = np.concatenate(errors.points)  # of both, so that all views have one scale
    low, high = every.min(axis=0), every.max(axis=0)
    shape = (int(high[across] - low[across]) + 1, int(high[up] - low[up]) + 1)
    depth = points[:, axis] * spacing[axis] * (1 if view.far_side else -1)
    order = np.argsort(depth, kind="stable")  # nearest last, and painted over the others
    at = points[order][:, [across, up]] - low[[across, up]]
    nearest = np.full(shape, np.nan)
    value = np.zeros(shape)
    nearest[at[:, 0], at[:, 1]] = depth[order]
    value[at[:, 0], at[:, 1]] = np.minimum(mm[order], top) / top
    extent = max(((high - low + 1) * np.array(spacing)).max(), 1e-6)
    pixels = [max(1, round(shape[i] * spacing[a] / extent * (size - 8))) for i, a in enumerate((across, up))]
    turned = to_screen(nearest), to_screen(value)
    solid = np.isfinite(turned[0])
    filled = np.where(solid, turned[0], np.nanmin(nearest))
    zoom = (pixels[1] / solid.shape[0], pixels[0] / solid.shape[1])
    fine = [ndimage.zoom(a.astype(float), zoom, order=1, grid_mode=True, mode="nearest") for a in (filled, turned[1])]
    mask = ndimage.zoom(solid.astype(float), zoom, order=1, grid_mode=True, mode="nearest") >= 0.5
    step = extent / (size - 8)
    gradient = np.gradient(ndimage.gaussian_filter(fine[0], 1.5), step) if min(fine[0].shape) > 1 else [0.0, 0.0]
    light = np.clip(
        (1 + 0.5 * gradient[0] + 0.5 * gradient[1]) / np.sqrt(1 + gradient[0] ** 2 + gradient[1] ** 2), 0.35, 1.15
    )
    rgb = np.where(mask[..., None], _color(fine[1]) * light[..., None], np.array(BACKGROUND))
    shown = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    pane.paste(shown, ((size - shown.width) // 2, (size - shown.height) // 2))
    return pane


def _color(fraction: Floats) -> Floats:
    """Color of numbers between 0 and 1, shape (..., 3)."""
    steps = np.linspace(0, 1, len(COLORS))
    return np.stack([np.interp(fraction, steps, COLORS[:, channel]) for channel in range(3)], axis=-1)


def _scale(image: Image.Image, draw: ImageDraw.ImageDraw, top: float, beyond: bool) -> None:
    left, high, low = image.width - SCALE_WIDTH + 12, 22, image.height - LABEL_HEIGHT - 8
    bar = _color(np.linspace(1, 0, low - high)).astype(np.uint8)
    image.paste(Image.fromarray(np.repeat(bar[:, None], 14, axis=1)), (left, high))
    for fraction in (0.0, 0.5, 1.0):
        text = f"{fraction * top:g}" + ("+" if fraction == 1 and beyond else "")
        draw.text((left + 20, low - fraction * (low - high)), text, fill=INK, font=font(12), anchor="lm")
    draw.text((left, 2), "mm", fill=INK, font=font(12))
