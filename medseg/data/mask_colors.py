"""Finds the colors of masks that are color images, for a person to name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medseg.data.description import DatasetDescription
from medseg.data.file_units import SUFFIXES
from medseg.data.reference_files import colors_of
from medseg.errors import MedsegError
from medseg.io.read import read_labels

# Files looked at; more colors than these are no map of classes.
LOOKED_AT = 20
MOST_COLORS = 64
FLAT = tuple(suffix for suffix in SUFFIXES if suffix in (".png", ".tif", ".tiff", ".bmp", ".gif", ".ppm"))


# What is said where they were guessed.
UNNAMED = (
    "the colors of the masks are taken as classes, black as background; name them under 'labels' and 'colors' in what "
    "`medseg audit --describe` writes"
)


def guessed_colors(files: Sequence[Path], given: DatasetDescription) -> DatasetDescription | None:
    """Describe each color of the masks as a class; None where masks are gray, or their colors are too many for classes.

    Black is the background, or where there is none, the most frequent color. Where classes are named and colors are
    not, nothing tells which is which, and none are guessed.
    """
    flat = [file for file in files if file.name.lower().endswith(FLAT)]
    if given.colors or given.labels or not flat or given.references == "instances" or _has_values(flat[0]):
        return None
    counts: Counter[tuple[int, int, int]] = Counter()
    for file in flat[:: max(1, len(flat) // LOOKED_AT)]:
        try:
            counts.update(colors_of(file))
        except (MedsegError, OSError):
            continue
    if not counts or len(counts) > MOST_COLORS or all(r == g == b for r, g, b in counts):
        return None
    background = (0, 0, 0) if (0, 0, 0) in counts else counts.most_common(1)[0][0]
    ordered = [background, *sorted(color for color in counts if color != background)]
    names = {"#{:02x}{:02x}{:02x}".format(*color): value for value, color in enumerate(ordered)}
    labels = {f"color {name}": value for name, value in names.items() if value}
    return given.model_copy(update={"colors": names, "labels": labels})


def _has_values(file: Path) -> bool:
    """Whether a mask has one value for each pixel: gray, or numbers of a palette."""
    try:
        read_labels(file)
    except (MedsegError, OSError):
        return False
    return True
