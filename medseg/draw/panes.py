"""One plane of a scan with the labels over it, fitted into a square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from medseg.types import Instances, LabelMap, LabelTable, Scan

__all__ = ["BACKGROUND", "INK", "PLANES", "Plane", "Shown", "font", "pane", "shown"]

BACKGROUND = (16, 18, 22)
INK = (230, 232, 236)
FILL = 0.38


@dataclass(frozen=True)
class Plane:
    """A plane of an RAS volume: the axis it cuts, and the letters at its left and top edges on screen."""

    name: str
    axis: int
    left: str
    top: str


# Radiological convention: the patient's right is on the left of the picture.
PLANES = (Plane("axial", 2, "R", "A"), Plane("coronal", 1, "R", "S"), Plane("sagittal", 0, "A", "S"))


@dataclass(frozen=True, eq=False)
class Shown:
    """A scan and its labels with their axes in nearest RAS order, a picture's as stored; views, no voxel is resampled.

    Parameters
    ----------
    image : ndarray, shape (X, Y, Z, 1 or 3)
        First channel of the scan, or red, green and blue of a picture.
    classes, parts : ndarray, shape (X, Y, Z)
        Class of every voxel, and what is outlined: its object where there are objects, else its class.
    spacing : tuple of float
        mm.
    window : (float, float)
        Intensities drawn black and white.
    is_picture : bool
        Whether it came from a picture, which has no patient's sides and no slices.
    """

    image: npt.NDArray[Any]
    classes: npt.NDArray[Any]
    parts: npt.NDArray[Any]
    spacing: tuple[float, ...]
    window: tuple[float, float]
    is_picture: bool

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes there are to see: one where there is a single slice."""
        flat = [plane for plane in PLANES if self.classes.shape[plane.axis] == 1]
        return tuple(flat[:1]) or PLANES


def shown(scan: Scan, labels: LabelMap, instances: Instances | None = None) -> Shown:
    """Turn a scan, its labels and their objects the way they are drawn."""
    is_picture = scan.source.format == "picture"
    # A picture is shown as it is stored, whatever its axes were taken to be.
    turn = nib.io_orientation(np.eye(4) if is_picture else scan.geometry.affine)
    channels = scan.array[:3] if is_picture and scan.channels >= 3 else scan.array[:1]
    image = np.stack([nib.orientations.apply_orientation(channel, turn) for channel in channels], axis=-1)
    return Shown(
        image,
        nib.orientations.apply_orientation(labels.array, turn),
        nib.orientations.apply_orientation(labels.array if instances is None else instances.ids, turn),
        tuple(scan.geometry.spacing[int(axis)] for axis in np.argsort(turn[:, 0])),
        _window(image, scan.modality),
        is_picture,
    )


def pane(case: Shown, plane: Plane, table: LabelTable, size: int, *, overlay: bool = True) -> Image.Image:
    """Draw the plane with most of the labels, fitted into a square, with its name and side letters.

    Parameters
    ----------
    case : Shown
        What to draw.
    plane : Plane
        Which way to cut.
    table : LabelTable
        For the colors.
    size : int
        Width and height in pixels.
    overlay : bool
        Whether the labels are drawn over the scan.
    """
    others = tuple(axis for axis in range(3) if axis != plane.axis)
    areas = (case.classes > 0).sum(axis=others)
    index = int(areas.argmax()) if areas.any() else case.classes.shape[plane.axis] // 2
    # Rows run down the screen and columns to the right, as a picture's do; RAS axes run up and, for radiologists, to
    # the left.
    ways = slice(None, None, 1 if case.is_picture else -1)
    image, classes, parts = (
        np.take(array, index, axis=plane.axis).swapaxes(0, 1)[ways, ways]
        for array in (case.image, case.classes, case.parts)
    )
    width_mm, height_mm = (case.classes.shape[axis] * case.spacing[axis] for axis in others)
    scale = size / max(width_mm, height_mm)
    pixels = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    low, high = case.window
    gray = np.nan_to_num(np.clip((image.astype(np.float32) - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    colored = np.repeat(gray, 3, axis=2) if gray.shape[2] == 1 else gray
    base = np.asarray(Image.fromarray(np.ascontiguousarray(colored)).resize(pixels, Image.Resampling.BICUBIC))
    if overlay:
        classes, parts = (
            np.asarray(Image.fromarray(array.astype(np.int32)).resize(pixels, Image.Resampling.NEAREST))
            for array in (classes, parts)
        )
        base = _overlay(base, classes, parts, table)
    drawn = Image.new("RGB", (size, size), BACKGROUND)
    drawn.paste(Image.fromarray(base), ((size - pixels[0]) // 2, (size - pixels[1]) // 2))
    if case.is_picture:
        return drawn
    draw = ImageDraw.Draw(drawn)
    for text, place, anchor in (
        (plane.left, (4, size // 2), "lm"),
        (plane.top, (size // 2, 2), "ma"),
        (f"{plane.name} {index + 1}/{case.classes.shape[plane.axis]}", (4, size - 4), "ld"),
    ):
        draw.text(place, text, fill=INK, font=font(13), anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)
    return drawn


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of all that is written on a picture."""
    return ImageFont.load_default(size)


def _window(image: npt.NDArray[Any], modality: str | None) -> tuple[float, float]:
    if modality == "CT":
        return -160.0, 240.0
    sample = image[tuple(slice(None, None, max(1, n // 64)) for n in image.shape[:3])].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(sample, [1, 99.5])
    return float(low), float(high) if high > low else float(low) + 1.0


def _overlay(
    base: npt.NDArray[np.uint8], classes: npt.NDArray[np.int32], parts: npt.NDArray[np.int32], table: LabelTable
) -> npt.NDArray[np.uint8]:
    """Color the classes: a light fill, and a full outline of every part."""
    colored = base.astype(np.float32)
    edge = np.zeros(parts.shape, bool)
    for axis in (0, 1):
        step = np.diff(parts, axis=axis) != 0
        edge[(slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))] |= step
        edge[(slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))] |= step
    for entry in table:
        inside = classes == entry.value
        color = np.asarray(entry.color, np.float32)
        colored[inside] = (1 - FILL) * colored[inside] + FILL * color
        colored[inside & edge] = color
    return colored.round().astype(np.uint8)
