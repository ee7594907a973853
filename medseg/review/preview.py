"""The picture of a prediction: three planes through it, with the labels over the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydantic import BaseModel, ConfigDict, Field

from medseg.engine.stage import RunContext
from medseg.io.atomic import atomic_path
from medseg.types import LabelMap, LabelTable, Scan
from medseg.types.run import Segmented, Volumes

__all__ = ["PreviewPicture", "draw_preview"]

Grey = npt.NDArray[np.uint8]
BACKGROUND = (16, 18, 22)
INK = (230, 232, 236)
GAP = 12
LINE = 22
FILL = 0.38
PNG_LEVEL = 1


@dataclass(frozen=True)
class _Plane:
    """A plane of an RAS volume: the axis it cuts, and the letters at its left and top edges on screen."""

    name: str
    axis: int
    left: str
    top: str


# Radiological convention: the patient's right is on the left of the picture.
PLANES = (_Plane("axial", 2, "R", "A"), _Plane("coronal", 1, "R", "S"), _Plane("sagittal", 0, "A", "S"))


def draw_preview(scan: Scan, labels: LabelMap, volumes: Volumes, *, size: int = 300) -> Image.Image:
    """Draw the axial, coronal and sagittal plane in which the labels are largest.

    Parameters
    ----------
    scan : Scan
        Its first channel is shown, between the 1st and 99.5th percentile, or in a soft-tissue window for CT.
    labels : LabelMap
        On the scan's grid.
    volumes : Volumes
        For the legend.
    size : int
        Width and height in pixels of the square each plane is fitted into.

    Returns
    -------
    Image
        RGB.

    Raises
    ------
    GeometryMismatch
        When labels and scan are not on the same grid.
    """
    labels.geometry.match(scan.geometry, what="labels and scan")
    image, mask, spacing = _to_ras(scan, labels)
    low, high = _window(image, scan.modality)
    panes = [_pane(image, mask, spacing, plane, low, high, labels.table, size) for plane in PLANES]
    legend = [
        (c.color, f"{c.name}  {row.millilitres:.2f} ml") for c, row in zip(labels.table, volumes.rows, strict=True)
    ]
    return _compose(panes, legend[:12], more=max(0, len(legend) - 12), size=size)


def _to_ras(scan: Scan, labels: LabelMap) -> tuple[npt.NDArray[Any], npt.NDArray[Any], tuple[float, ...]]:
    """Views of first channel and labels with axes in nearest RAS order, and the spacing in that order."""
    turn = nib.io_orientation(scan.geometry.affine)
    order = np.argsort(turn[:, 0])
    spacing = tuple(scan.geometry.spacing[int(axis)] for axis in order)
    return (
        nib.orientations.apply_orientation(scan.array[0], turn),
        nib.orientations.apply_orientation(labels.array, turn),
        spacing,
    )


def _window(image: npt.NDArray[Any], modality: str | None) -> tuple[float, float]:
    if modality == "CT":
        return -160.0, 240.0
    sample = image[tuple(slice(None, None, max(1, n // 64)) for n in image.shape)].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(sample, [1, 99.5])
    return float(low), float(high) if high > low else float(low) + 1.0


def _pane(
    image: npt.NDArray[Any],
    mask: npt.NDArray[Any],
    spacing: tuple[float, ...],
    plane: _Plane,
    low: float,
    high: float,
    table: LabelTable,
    size: int,
) -> Image.Image:
    """Draw one plane, fitted into a square, with its name and side letters."""
    others = tuple(axis for axis in range(3) if axis != plane.axis)
    areas = (mask > 0).sum(axis=others)
    index = int(areas.argmax()) if areas.any() else image.shape[plane.axis] // 2
    grey = np.take(image, index, axis=plane.axis).astype(np.float32)
    classes = np.take(mask, index, axis=plane.axis)
    # Rows run down the screen and columns to the right; RAS axes run up and, for radiologists, to the left.
    grey, classes = grey.T[::-1, ::-1], classes.T[::-1, ::-1]
    width_mm, height_mm = (image.shape[axis] * spacing[axis] for axis in others)
    scale = size / max(width_mm, height_mm)
    pixels = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))
    shown = np.nan_to_num(np.clip((grey - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    base = np.asarray(Image.fromarray(shown).resize(pixels, Image.Resampling.BICUBIC))
    large = np.asarray(Image.fromarray(classes.astype(np.int32)).resize(pixels, Image.Resampling.NEAREST))
    pane = Image.new("RGB", (size, size), BACKGROUND)
    corner = (size - pixels[0]) // 2, (size - pixels[1]) // 2
    pane.paste(Image.fromarray(_overlay(base, large, table)), corner)
    draw = ImageDraw.Draw(pane)
    for text, place, anchor in (
        (plane.left, (4, size // 2), "lm"),
        (plane.top, (size // 2, 2), "ma"),
        (f"{plane.name} {index + 1}/{image.shape[plane.axis]}", (4, size - 4), "ld"),
    ):
        draw.text(place, text, fill=INK, font=_font(13), anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)
    return pane


def _overlay(grey: Grey, classes: npt.NDArray[np.int32], table: LabelTable) -> npt.NDArray[np.uint8]:
    """Colour the classes over a grey picture: a light fill and a full outline."""
    colored = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    edge = np.zeros(classes.shape, bool)
    for axis in (0, 1):
        step = np.diff(classes, axis=axis) != 0
        edge[(slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))] |= step
        edge[(slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))] |= step
    for entry in table:
        inside = classes == entry.value
        color = np.asarray(entry.color, np.float32)
        colored[inside] = (1 - FILL) * colored[inside] + FILL * color
        colored[inside & edge] = color
    return colored.round().astype(np.uint8)


def _compose(
    panes: list[Image.Image], legend: list[tuple[tuple[int, int, int], str]], more: int, size: int
) -> Image.Image:
    """Set the panes side by side over the legend."""
    per_row = 3
    rows = -(-len(legend) // per_row) + (more > 0)
    picture = Image.new("RGB", (len(panes) * (size + GAP) + GAP, size + 2 * GAP + rows * LINE + GAP), BACKGROUND)
    for number, pane in enumerate(panes):
        picture.paste(pane, (GAP + number * (size + GAP), GAP))
    draw = ImageDraw.Draw(picture)
    for number, (color, text) in enumerate(legend):
        x = GAP + (number % per_row) * (size + GAP)
        y = size + 2 * GAP + (number // per_row) * LINE
        draw.rectangle((x, y + 3, x + 12, y + 15), fill=color)
        draw.text((x + 20, y + 9), text, fill=INK, font=_font(13), anchor="lm")
    if more:
        y = size + 2 * GAP + (rows - 1) * LINE
        draw.text((GAP, y + 9), f"and {more} more classes: see measurements.csv", fill=INK, font=_font(13), anchor="lm")
    return picture


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class PreviewPicture:
    """Stage that leaves `preview.png` in the case's folder."""

    class Options(BaseModel):
        """How large."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        size: int = Field(default=300, ge=64, le=2000, description="pixels along each plane")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Segmented, context: RunContext) -> Segmented:
        """Draw and write."""
        picture = draw_preview(item.case.scan, item.prediction.labels, item.volumes, size=self.options.size)
        with atomic_path(context.case_folder / "preview.png") as part:
            # A third more bytes than the default level gives, in a fifth of its time.
            picture.save(part, format="PNG", compress_level=PNG_LEVEL)
        return item
