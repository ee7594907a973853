"""TIFF stacks whose pages are called time points, as ImageJ saves many a stack of slices.

In a dataset, where a label has a page for each page of its image, they are read as slices of a volume, which the audit
says. Elsewhere they stay an error: nothing but the label says that pages belong to one volume.
"""

from __future__ import annotations

from pathlib import Path

from medseg.io import image2d
from medseg.io.read import load_scan, read_labels
from medseg.types import LabelMap, Scan

AS_SLICES = "time-as-slices"


def load_image(path: Path) -> Scan:
    """Read an image, time points of a TIFF as its slices."""
    return image2d.read_scan(path, time_as_slices=True) if time_points(path) else load_scan(path)


def load_labels(path: Path) -> LabelMap:
    """Read a label map, time points of a TIFF as its slices."""
    return image2d.read_labels(path, time_as_slices=True) if time_points(path) else read_labels(path)


def time_points(path: Path) -> int:
    """Number of time points of a TIFF that has no other stack; 0 of any other file."""
    return image2d.time_points(path) if path.name.lower().endswith((".tif", ".tiff")) else 0


def notes_of(path: Path, count: int) -> tuple[str, str]:
    """What the audit says of an image that was read so."""
    return AS_SLICES, f"{path.name} has {count} time points, which were read as slices."
