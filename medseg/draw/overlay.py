"""Draws a reference and a prediction over the scan, in three planes through the place where they differ most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from medseg.types import LabelMap, Scan

__all__ = ["BACKGROUND", "PREDICTION", "REFERENCE", "Oriented", "draw_planes", "oriented"]

BACKGROUND = (16, 18, 22)
INK = (230, 232, 236)
EMPTY = (34, 37, 44)  # where there is no scan to show
# Sky blue and orange of Okabe and Ito: told apart with every common kind of color vision, and from gray.
REFERENCE = (86, 180, 233)
PREDICTION = (255, 159, 28)
GAP = 8
SMALLEST_VIEW_MM = 40.0


@dataclass(frozen=True)
class _Plane:
    """A plane of an RAS volume: the axis it cuts, and the letters at its left and top edges on screen."""

    name: str
    axis: int
    left: str
    top: str


# Radiological convention: the patient's right is on the left of the picture.
PLANES = (_Plane("axial", 2, "R", "A"), _Plane("coronal", 1, "R", "S"), _Plane("sagittal", 0, "A", "S"))


@dataclass(frozen=True, eq=False)
class Oriented:
    """A case with its axes in nearest RAS order.

    Parameters
    ----------
    reference, prediction : ndarray, shape (X, Y, Z)
        Class values.
    gray : ndarray, shape (X, Y, Z), optional
        First channel of the scan.
    spacing : tuple of float
        mm.
    modality : str, optional
        Of the scan.
    """

    reference: npt.NDArray[Any]
    prediction: npt.NDArray[Any]
    gray: npt.NDArray[Any] | None
    spacing: tuple[float, float, float]
    modality: str | None = None

    @property
    def is_picture(self) -> bool:
        """Whether there is one slice only."""
        return 1 in self.reference.shape

    def as_masks(self) -> Oriented:
        """Return it with all classes, or all objects, as one."""
        reference, prediction = ((array != 0).astype(np.uint8) for array in (self.reference, self.prediction))
        return replace(self, reference=reference, prediction=prediction)


def oriented(reference: LabelMap, prediction: LabelMap, scan: Scan | None) -> Oriented:
    """Turn a case's arrays to nearest RAS order; views, no voxel is resampled."""
    turn = nib.io_orientation(reference.geometry.affine)
    x, y, z = (reference.geometry.spacing[int(axis)] for axis in np.argsort(turn[:, 0]))

    def turned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        result: npt.NDArray[Any] = nib.orientations.apply_orientation(array, turn)
        return result

    return Oriented(
        turned(reference.array),
        turned(prediction.array),
        None if scan is None else turned(scan.array[0]),
        (x, y, z),
        None if scan is None else scan.modality,
    )


def draw_planes(case: Oriented, place: tuple[int, int, int], *, size: int = 400) -> Image.Image:
    """Draw outlines of both label maps over the scan, zoomed to where labels are.

    Parameters
    ----------
    case : Oriented
        What to draw.
    place : tuple of int
        Voxel all planes go through.
    size : int
        Width and height of a plane in pixels.
    """
    view = _view(case)
    window = _window(case)
    if case.is_picture:
        plane = next(p for p in PLANES if case.reference.shape[p.axis] == 1)
        return _side_by_side(case, plane, view, window, (3 * size + GAP) // 2)
    planes = PLANES
    picture = Image.new("RGB", (len(planes) * (size + GAP) - GAP, size), BACKGROUND)
    for number, plane in enumerate(planes):
        picture.paste(_pane(case, plane, place[plane.axis], view, window, size), (number * (size + GAP), 0))
    return picture


def _side_by_side(
    case: Oriented, plane: _Plane, view: tuple[slice, ...], window: tuple[float, float], size: int
) -> Image.Image:
    """A picture with outlines, and where it is given without, no higher than it needs to be."""
    shown = [_pane(case, plane, 0, view, window, size)]
    if case.gray is not None:
        nothing = np.zeros_like(case.reference)
        shown.append(_pane(replace(case, reference=nothing, prediction=nothing), plane, 0, view, window, size))
    picture = Image.new("RGB", (len(shown) * (size + GAP) - GAP, size), BACKGROUND)
    for number, pane in enumerate(shown):
        picture.paste(pane, (number * (size + GAP), 0))
    used = np.flatnonzero((np.asarray(picture) != np.array(BACKGROUND)).any(axis=(1, 2)))
    return picture.crop((0, int(used[0]), picture.width, int(used[-1]) + 1)) if len(used) else picture


def _view(case: Oriented) -> tuple[slice, ...]:
    """Box around all labels with a margin, no smaller than can be recognized."""
    box = ndimage.find_objects(((case.reference > 0) | (case.prediction > 0)).view(np.uint8))
    shape = case.reference.shape
    if not box or box[0] is None:
        return tuple(slice(0, n) for n in shape)
    sides = []
    for inside, length, mm in zip(box[0], shape, case.spacing, strict=True):
        extent = (inside.stop - inside.start) * mm
        margin = max(0.25 * extent, (SMALLEST_VIEW_MM - extent) / 2) / mm
        sides.append(slice(max(0, int(inside.start - margin)), min(length, int(np.ceil(inside.stop + margin)))))
    return tuple(sides)


def _window(case: Oriented) -> tuple[float, float]:
    if case.gray is None:
        return 0.0, 1.0
    if case.modality == "CT":
        return -160.0, 240.0
    sample = case.gray[tuple(slice(None, None, max(1, n // 64)) for n in case.gray.shape)].astype(np.float32)
    low, high = np.percentile(sample[np.isfinite(sample)], [1, 99.5]) if np.isfinite(sample).any() else (0, 1)
    return float(low), float(high) if high > low else float(low) + 1.0


def _pane(
    case: Oriented,
    plane: _Plane,
    index: int,
    view: tuple[slice, ...],
    window: tuple[float, float],
    size: int,
) -> Image.Image:
    across, up = (axis for axis in range(3) if axis != plane.axis)
    cut: list[slice | int] = list(view)
    cut[plane.axis] = index
    width_mm = (view[across].stop - view[across].start) * case.spacing[across]
    height_mm = (view[up].stop - view[up].start) * case.spacing[up]
    scale = size / max(width_mm, height_mm)
    pixels = max(1, round(width_mm * scale)), max(1, round(height_mm * scale))

    def on_screen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        # Rows run down the screen and columns to the right; RAS axes run up and, for radiologists, to the left.
        return array[tuple(cut)].T[::-1, ::-1]

    if case.gray is None:
        shown = np.broadcast_to(np.array(EMPTY, np.uint8), (pixels[1], pixels[0], 3)).copy()
    else:
        gray = np.nan_to_num((on_screen(case.gray).astype(np.float32) - window[0]) / (window[1] - window[0]))
        base = Image.fromarray((gray.clip(0, 1) * 255).astype(np.uint8)).resize(pixels, Image.Resampling.BICUBIC)
        shown = np.repeat(np.asarray(base)[..., None], 3, axis=2)
    for array, color in ((case.reference, REFERENCE), (case.prediction, PREDICTION)):
        shown[_outline(on_screen(array), pixels)] = color
    pane = Image.new("RGB", (size, size), BACKGROUND)
    pane.paste(Image.fromarray(shown), ((size - pixels[0]) // 2, (size - pixels[1]) // 2))
    draw = ImageDraw.Draw(pane)
    if not case.is_picture:
        for text, place, anchor in (
            (plane.left, (4, size // 2), "lm"),
            (plane.top, (size // 2, 2), "ma"),
            (f"{plane.name} {index + 1}/{case.reference.shape[plane.axis]}", (4, size - 4), "ld"),
        ):
            font = ImageFont.load_default(14)
            draw.text(place, text, fill=INK, font=font, anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)
    return pane


def _outline(classes: npt.NDArray[Any], pixels: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Outlines of all classes at screen size, smooth where the grid is coarse."""
    outline = np.zeros(pixels[::-1], bool)
    for value in np.unique(classes[classes > 0]):
        mask = Image.fromarray(np.pad((classes == value).astype(np.uint8) * 255, 1))
        grown = (round(pixels[0] * mask.width / (mask.width - 2)), round(pixels[1] * mask.height / (mask.height - 2)))
        fine = np.asarray(mask.resize(grown, Image.Resampling.BILINEAR)) >= 128
        off = (grown[1] - pixels[1]) // 2, (grown[0] - pixels[0]) // 2
        edge = fine & ~ndimage.binary_erosion(fine, iterations=2, border_value=1)
        outline |= edge[off[0] : off[0] + pixels[1], off[1] : off[1] + pixels[0]]
    return outline
