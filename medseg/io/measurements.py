"""`measurements.csv`: a row a class, volumes and what can be said of them without a reference."""

from __future__ import annotations

import csv
import io

from medseg.types.quality import Quality
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
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["class", "voxels", "millilitres"]
    if quality is None:
        writer.writerow(head)
        writer.writerows([row.class_name, row.voxels, f"{row.millilitres:.6g}"] for row in volumes.rows)
        return stream.getvalue()
    writer.writerow([*head, "pieces", "largest_share", "at_edge", "border_entropy", "member_dice"])
    for row, seen in zip(volumes.rows, quality.rows, strict=True):
        share = f"{seen.largest_share:.3g}" if seen.pieces else ""
        figures = [seen.pieces, share, int(seen.at_edge), _figure(seen.border_entropy), _figure(seen.member_dice)]
        writer.writerow([row.class_name, row.voxels, f"{row.millilitres:.6g}", *figures])
    return stream.getvalue()


def _figure(value: float | None) -> str:
    """Two significant digits: more would differ from engine to engine."""
    return "" if value is None else f"{value:.2f}"
