"""Writes what two time points show of each other: follow.csv and follow.json."""

from __future__ import annotations

import io
from pathlib import Path

from medseg.evaluation.summary import as_json
from medseg.harmless import TableWriter, json_text
from medseg.io.files.atomic import write_text
from medseg.types.follow_up import FollowUp, SizeChange

SIZES = (
    "before_ml", "before_low_ml", "before_high_ml", "after_ml", "after_low_ml", "after_high_ml", "difference_ml",
    "difference_low_ml", "difference_high_ml", "difference_percent",
)  # fmt: skip
AXES = ("long_before_mm", "short_before_mm", "long_after_mm", "short_after_mm")
COLUMNS = (
    "row", "number", "class", "match", "change", "is_certain", "objects_before", "objects_after", *SIZES, *AXES, "x_mm",
    "y_mm", "z_mm",
)  # fmt: skip


def write_follow_up(follow_up: FollowUp, folder: Path) -> None:
    """Write follow.csv, a row a class and then a row an object, and follow.json, all of it."""
    write_text(folder / "follow.csv", _table(follow_up))
    content = json_text(as_json(follow_up.as_dict()))
    write_text(folder / "follow.json", content)


def _table(follow_up: FollowUp) -> str:
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(COLUMNS)
    for one in follow_up.classes:
        counts = ("", "") if one.objects is None else one.objects
        empty = [""] * (len(AXES) + 3)
        writer.writerow(["class", "", one.class_name, "", one.size.verdict, "", *counts, *_size(one.size), *empty])
    for change in follow_up.objects:
        axes = [length(after=after) for after in (False, True) for length in (change.long_mm, change.short_mm)]
        ids = [" ".join(str(part.id) for part in parts) for parts in (change.before, change.after)]
        what = [change.class_name, change.match, change.change, str(change.is_certain).lower()]
        place = [f"{value:.2f}" for value in change.place_mm]
        writer.writerow(["object", change.number, *what, *ids, *_size(change.size), *map(_figure, axes), *place])
    return stream.getvalue()


def _size(size: SizeChange) -> list[str]:
    figures = [size.before_ml, *size.before_interval_ml, size.after_ml, *size.after_interval_ml]
    figures += [size.difference_ml, *size.difference_interval_ml]
    return [*map(_figure, figures), "" if size.percent is None else _figure(size.percent)]


def _figure(value: float) -> str:
    return f"{value:.6g}"
