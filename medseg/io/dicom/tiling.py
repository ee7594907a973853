"""Images that are many slices of a volume tiled into one, which no reader may take for a slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medseg.io.dicom.frame import ABSURD, Frame
from medseg.io.dicom.volume import Refusal

# Number of tiles, and who says so: (element, element that names its owner, owner).
TILES = (
    ((0x0019, 0x100A), (0x0019, 0x0010), "SIEMENS MR HEADER", "a Siemens MOSAIC"),
    ((0x0029, 0x1010), (0x0029, 0x0010), "SIEMENS CSA HEADER", "a Siemens MOSAIC"),
    ((0x0065, 0x1050), (0x0065, 0x0010), "", "a grid of slices by United Imaging"),
)
# Millimeters, both ways: no scanner looks at more at once, with or without a matrix that divides the image evenly.
WIDEST, WIDEST_OF_WHOLE_MATRICES = 900.0, 650.0
FIX = "Get it as one image for each slice, or as an enhanced object; dcm2niix converts such images to NIfTI."


def tiled(frame: Frame) -> Refusal | None:
    """Why an image is slices tiled into one, by its type, its maker's elements, or a field of view that cannot be."""
    if "MOSAIC" in frame.image_type:
        return _refusal("a Siemens MOSAIC")
    if "MONTAGE" in frame.image_type:
        return _refusal("a montage")
    for element, owner, name, kind in TILES:
        count = whole_number(frame.header.get(element))
        if count > 1 and str(getattr(frame.header.get(owner), "value", "")).strip().startswith(name):
            return _refusal(kind)
    if frame.pixel_spacing is not None:
        view = (frame.rows * frame.pixel_spacing[0], frame.columns * frame.pixel_spacing[1])
        if ABSURD > min(view) > (WIDEST_OF_WHOLE_MATRICES if _is_of_whole_matrices(frame) else WIDEST):
            return _refusal(f"a field of view of {view[0]:.0f} x {view[1]:.0f} mm, which no scanner has")
    return None


def _refusal(kind: str) -> Refusal:
    return Refusal(f"its images are {kind}: the slices of a volume tiled into one image", FIX)


def _is_of_whole_matrices(frame: Frame) -> bool:
    """Whether an image is the acquired matrix several times over, as often down as across."""
    stated = frame.header.get("AcquisitionMatrix")
    matrix = [int(n) for n in stated if int(n) > 0] if isinstance(stated, Sequence) else []
    if len(matrix) != 2 or frame.rows != frame.columns:
        return False
    return any(frame.rows % n == 0 and frame.rows // n > 1 for n in matrix)


def whole_number(element: Any) -> int:
    """Return the whole number of a private element; 0 where there is none."""
    value = getattr(element, "value", None)
    if isinstance(value, bytes):  # of an element whose kind is not known
        value = int.from_bytes(value, "little") if len(value) in (2, 4) else 0
    try:
        return int(value or 0)
    except (OverflowError, TypeError, ValueError):
        return 0
