"""What the axes of a TIFF are and how large its pixels, as ImageJ and OME write it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

from medseg.errors import InputError

# Axes that are slices: z, and pages that nothing is said about.
SLICES = "ZQI"
CHANNELS = "SC"
AXES = {"T": "time points", "R": "tiles", "P": "positions", "A": "angles", "E": "wavelengths", "H": "phases"}
CENTIMETER = 3  # of the tag ResolutionUnit
MM = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "\\u00b5m": 1e-3, "micron": 1e-3, "microns": 1e-3,
    "micrometer": 1e-3, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip


def check_axes(sizes: Mapping[str, int], path: Path, *, time_as_slices: bool = False) -> None:
    """Refuse what is neither a plane, a stack of slices nor channels.

    - `time_as_slices`: whether time points count as slices, where there is no other stack.
    """
    slices = SLICES + "T" if time_as_slices else SLICES
    several = {axis: size for axis, size in sizes.items() if size > 1 and axis not in "YX" + slices + CHANNELS}
    for axis, size in several.items():
        raise InputError(
            f"it holds {size} {AXES.get(axis, f'images along the axis {axis}')}, which are no slices",
            where=path,
            fix="Save each of them as a file of its own.",
        )
    if sum(sizes.get(axis, 1) > 1 for axis in slices) > 1:
        raise InputError("it holds several stacks of slices", where=path, fix="Save each of them as a file of its own.")


def pixel_size(tiff: Any) -> tuple[float, float, float | None] | None:
    """Size in mm of a pixel along x and y, and distance of slices if it is known; None where no size is given.

    Dots per inch, which most programs write without knowing, count for nothing.
    """
    if tiff.is_ome:
        return _of_ome(tiff.ome_metadata)
    if tiff.is_imagej:
        return _of_imagej(tiff.imagej_metadata or {}, tiff.pages[0].tags)
    return None


def resolution_per_cm(tiff: Any) -> float | None:
    """Pixels per cm along x, where the file states its resolution so; no pixel size, for programs write it unasked."""
    tags = tiff.pages[0].tags
    unit, fraction = (getattr(tags.get(name), "value", None) for name in ("ResolutionUnit", "XResolution"))
    if unit != CENTIMETER or not fraction or min(fraction) <= 0:
        return None
    return float(fraction[0]) / float(fraction[1])


def _of_imagej(metadata: Mapping[str, Any], tags: Any) -> tuple[float, float, float | None] | None:
    mm = MM.get(str(metadata.get("unit") or "").strip().lower())
    fractions = [getattr(tags.get(name), "value", None) for name in ("XResolution", "YResolution")]
    if mm is None or not all(fraction and min(fraction) > 0 for fraction in fractions):
        return None
    x, y = (float(below) / float(above) * mm for above, below in fractions)  # type: ignore[misc]
    return x, y, _length(metadata.get("spacing"), mm)


def _of_ome(text: str) -> tuple[float, float, float | None] | None:
    found = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", text)
    if found is None:
        return None
    stated = {name: unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', found[1])}

    def size(axis: str) -> float | None:
        return _length(stated.get(f"PhysicalSize{axis}"), MM.get(stated.get(f"PhysicalSize{axis}Unit", "µm")))

    x, y = size("X"), size("Y")
    return None if x is None or y is None else (x, y, size("Z"))


def _length(stated: Any, mm: float | None) -> float | None:
    """A length in mm; None where the file gives none, or nothing that is one."""
    try:
        value = float(stated or 0)
    except (TypeError, ValueError):
        return None
    return value * mm if mm is not None and 0 < value < math.inf else None
