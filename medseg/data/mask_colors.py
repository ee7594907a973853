"""Finds the colors of masks that are color images, for a person to name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.data.description import DatasetDescription
from medseg.data.file_units import SUFFIXES
from medseg.data.reference_files import colors_of
from medseg.errors import MedsegError

# Files looked at; more colors than these are no map of classes.
LOOKED_AT = 20
MOST_COLORS = 64
FLAT = tuple(suffix for suffix in SUFFIXES if suffix in (".png", ".tif", ".tiff", ".bmp", ".gif", ".ppm"))


def guessed_colors(
    folder: Path, rows: Sequence[Mapping[str, str]], given: DatasetDescription
) -> DatasetDescription | None:
    """Describe each color of the masks as a class; None where masks are gray, or their colors are too many for classes.

    Black is the background, or where there is none, the most frequent color.
    """
    files = [row["label"] for row in rows if row.get("label", "").lower().endswith(FLAT)]
    if given.colors or not files or given.references == "instances":
        return None
    counts: Counter[tuple[int, int, int]] = Counter()
    for file in files[:: max(1, len(files) // LOOKED_AT)]:
        try:
            counts.update(colors_of(folder / file))
        except (MedsegError, OSError):
            continue
    if not counts or len(counts) > MOST_COLORS or all(r == g == b for r, g, b in counts):
        return None
    background = (0, 0, 0) if (0, 0, 0) in counts else counts.most_common(1)[0][0]
    ordered = [background, *sorted(color for color in counts if color != background)]
    names = {"#{:02x}{:02x}{:02x}".format(*color): value for value, color in enumerate(ordered)}
    labels = given.labels or {f"color {name}": value for name, value in names.items() if value}
    return given.model_copy(update={"colors": names, "labels": labels})
