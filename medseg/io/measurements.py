"""`measurements.csv`: a row a class, volumes and what can be said of them without a reference."""

from __future__ import annotations

import csv
import io

from medseg.types.quality import ClassQuality, Quality
from medseg.types.run import Volumes

__all__ = ["table_of_measurements"]


def table_of_measurements(volumes: Volumes, quality: Quality | None = None) -> str:
    """Return the text of the table.

    Parameters
    ----------
    volumes : Volumes
        Of every class.
    quality : Quality, optional
        Of the same classes; without it there are volumes only.

    Returns
    -------
    str
        With a last column of objects where the model makes any.
    """
    counted = any(row.objects is not None for row in volumes.rows)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["class", "voxels", "millilitres"]
    of_quality = ["pieces", "largest_share", "at_edge", "border_entropy", "member_dice"] if quality else []
    writer.writerow([*head, *of_quality, *(["objects"] if counted else [])])
    for number, row in enumerate(volumes.rows):
        figures = _of_quality(quality.rows[number]) if quality else []
        objects = [row.objects] if counted else []
        writer.writerow([row.class_name, row.voxels, f"{row.millilitres:.6g}", *figures, *objects])
    return stream.getvalue()


def _of_quality(seen: ClassQuality) -> list[object]:
    share = f"{seen.largest_share:.3g}" if seen.pieces else ""
    return [seen.pieces, share, int(seen.at_edge), _figure(seen.border_entropy), _figure(seen.member_dice)]


def _figure(value: float | None) -> str:
    """Two significant digits: more would differ from engine to engine."""
    return "" if value is None else f"{value:.2f}"
