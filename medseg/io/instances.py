"""Objects on disk: an id map as NIfTI beside a table as CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.errors import InputError, first_line
from medseg.harmless import TableWriter, name_from_cell
from medseg.io import nifti
from medseg.io.files.atomic import write_text
from medseg.io.files.csv_table import table_rows
from medseg.types import Geometry, Instances, LabelClass, LabelTable, Scan, Source
from medseg.types.class_values import ClassValues
from medseg.types.extent import Extent, extent_of, extent_unit
from medseg.types.instances import InstanceMeasures, InstanceRow
from medseg.types.labels import PALETTE

IDS, TABLE = "instances.nii.gz", "instances.csv"

PLACE = (
    *("centroid_x_mm", "centroid_y_mm", "centroid_z_mm"),
    *("start_x", "start_y", "start_z", "stop_x", "stop_y", "stop_z"),
)
ROW = ("id", "class_value", "class", "is_thing", "score", "voxels")
SHAPE = ("diameter_mm", "sphericity")
AXES = ("long_axis_mm", "short_axis_mm")
INTENSITY = "mean_intensity"
MARK = ("mark",)  # of results that were to be withheld
# Of each channel, beside the mean.
VALUES = ("unit", "median", "standard_deviation", "minimum", "maximum", "percentile_5", "percentile_95", "tlg")


def write_instances(instances: Instances, folder: Path, source: Source | None = None, mark: str = "") -> None:
    """Write ``instances.nii.gz``, int32, and ``instances.csv``, one line for each row.

    The table's ``start`` and ``stop`` are voxel indices, the second beyond the last voxel; centroids are world
    coordinates in mm, RAS+. A 2D image has ``area_mm2``, or ``area_px`` where its source has no pixel size, in place of
    ``volume_ml``. What was not measured is empty. A NIfTI source's orientation is copied bit by bit. A `mark` of a
    result that was to be withheld is in a column of its own, and the description of the id map.
    """
    scan = Scan(instances.ids[np.newaxis], instances.geometry, source=source or Source("array"))
    nifti.write_scan(scan, folder / IDS, mark)
    measured = (row.measures.mean_intensity for row in instances.rows if row.measures is not None)
    channels = max((len(means) for means in measured if means is not None), default=0)
    text = io.StringIO()
    writer = TableWriter(text)
    unit = extent_unit(instances.geometry, source)
    columns = [*ROW, unit, *PLACE, *SHAPE, *_columns(INTENSITY, channels), *AXES]
    marked = [mark] if mark else []
    writer.writerow([*columns, *(name for one in VALUES for name in _columns(one, channels)), *(MARK if mark else ())])
    writer.writerows([*_line(row, instances, unit, channels), *marked] for row in instances.rows)
    write_text(folder / TABLE, text.getvalue())


def read_instances(folder: Path) -> Instances:
    """Read what `write_instances` wrote, and tables of older versions, which give volumes in mm³.

    Raises `InputError` when a file is missing or damaged, or the table and the id map do not belong together.
    """
    path = folder / TABLE
    scan = nifti.read_scan(folder / IDS)
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = table_rows(stream)
        rows = tuple(_row(line, scan.geometry) for line in lines)
        kinds = {
            (int(line["class_value"]), name_from_cell(line["class"]), line["is_thing"] == "true") for line in lines
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"it cannot be read as a table of objects ({first_line(error)})",
            where=path,
            fix="Write it again with `medseg predict`, or correct it.",
        ) from error
    table = LabelTable(
        tuple(
            LabelClass(value, name, color=PALETTE[(value - 1) % len(PALETTE)], is_thing=thing)
            for value, name, thing in sorted(kinds)
        )
    )
    ids = scan.array[0].astype(np.int32, copy=False)
    voxels = dict(zip(*(part.tolist() for part in np.unique(ids[ids > 0], return_counts=True)), strict=True))
    if voxels != {row.id: row.voxels for row in rows}:
        raise InputError(
            f"its {len(rows)} objects are not those of {IDS}, which holds {len(voxels)}",
            where=path,
            fix="Keep both files of the same run together.",
        )
    return Instances(ids, scan.geometry, rows, table)


def _line(row: InstanceRow, instances: Instances, unit: Extent, channels: int) -> list[str]:
    name = instances.table.name_of(row.class_value)
    start = [row.id, row.class_value, name, row.is_thing, row.score, row.voxels]
    found = row.measures
    if found is None:
        empty = 1 + len(PLACE) + len(SHAPE) + len(AXES) + channels * (1 + len(VALUES))
        return [_cell(value) for value in [*start, *[None] * empty]]
    size = found.volume_ml if unit == "volume_ml" else extent_of(row.voxels, instances.geometry, unit)
    means = found.mean_intensity or (None,) * channels
    rest = [size, *found.centroid_mm, *found.start, *found.stop, found.diameter_mm, found.sphericity]
    known = found.values or (None,) * channels
    values = [None if one is None else getattr(one, name) for name in VALUES for one in known]
    return [_cell(value) for value in [*start, *rest, *means, found.long_axis_mm, found.short_axis_mm, *values]]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _columns(name: str, channels: int) -> Sequence[str]:
    """Names of the columns of one figure; with the number of the channel where there are several."""
    return [name] if channels == 1 else [f"{name}_{place}" for place in range(1, channels + 1)]


def _row(line: dict[str, str], geometry: Geometry) -> InstanceRow:
    voxels, score = int(line["voxels"]), float(line["score"]) if line["score"] else None
    measures = _measures(line, extent_of(voxels, geometry, "volume_ml")) if line["start_x"] else None
    return InstanceRow(int(line["id"]), int(line["class_value"]), line["is_thing"] == "true", voxels, score, measures)


def _measures(line: dict[str, str], volume_ml: float) -> InstanceMeasures:
    x, y, z = (float(line[f"centroid_{axis}_mm"]) for axis in "xyz")
    starts: Any = tuple(int(line[f"start_{axis}"]) for axis in "xyz")
    stops: Any = tuple(int(line[f"stop_{axis}"]) for axis in "xyz")
    diameter, sphericity = (float(line[key]) if line[key] else None for key in SHAPE)
    means = tuple(float(value) for key, value in line.items() if key.startswith(INTENSITY) and value)
    long_axis, short_axis = (float(line[key]) if line.get(key) else None for key in AXES)
    values = _values(line, means)
    return InstanceMeasures(
        volume_ml, (x, y, z), starts, stops, diameter, sphericity, means or None, long_axis, short_axis, values
    )


def _values(line: dict[str, str], means: Sequence[float]) -> tuple[ClassValues, ...]:
    """Return what is known of each channel; nothing from tables of older versions, which have means only."""
    names = list(zip(*(_columns(name, len(means)) for name in VALUES), strict=True))
    if not means or any(name not in line for channel in names for name in channel):
        return ()
    cells = [[line[name] for name in channel] for channel in names]
    found = []
    for mean, (unit, *figures, tlg) in zip(means, cells, strict=True):
        median, deviation, least, most, low, high = map(float, figures)
        found.append(ClassValues(mean, median, deviation, least, most, low, high, unit, float(tlg) if tlg else None))
    return tuple(found)
