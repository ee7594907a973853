"""What a report shows of each class and object of a case: size, diameters, the scan's values, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from medseg.harmless import name_from_cell
from medseg.io.files.csv_table import table_rows
from medseg.io.instances import INTENSITY, TABLE
from medseg.types.class_values import ClassValues
from medseg.types.extent import UNITS
from medseg.types.run import CaseOutcome, ClassVolume

# Things of a class that are listed; the others are in the table of objects.
SHOWN = 10
COLUMNS = (
    "Class or object",
    "Size",
    "Long × short axis, mm",
    "Longest, mm",
    "Mean ± SD",
    "Median",
    "5% to 95%",
    "Range",
)
# Of one value of an object's table.
FIGURES = ("median", "standard_deviation", "minimum", "maximum", "percentile_5", "percentile_95", "tlg")
Cells = tuple[str, ...]


def measured_rows(outcome: CaseOutcome) -> list[Cells]:
    """Return `COLUMNS` of each class found and of its largest things; nothing where only sizes were measured."""
    classes = [row for row in (outcome.volumes.rows if outcome.volumes else ()) if row.voxels and row.values]
    objects = _objects_of(outcome) if classes else {}
    return [cells for row in classes for cells in (*_class_cells(row), *objects.get(row.class_name, ()))]


def _class_cells(row: ClassVolume) -> Iterable[Cells]:
    size = f"{row.size:.4g} {UNITS[row.unit]}" + (f" ({row.interval})" if row.interval else "")
    return _cells(row.class_name, size, (row.diameter_mm, row.long_axis_mm, row.short_axis_mm), row.values)


def _cells(name: str, size: str, lengths: Sequence[float | None], channels: Sequence[ClassValues]) -> Iterable[Cells]:
    """One row, and for further channels of the scan one each, with their values alone."""
    longest, long_axis, short_axis = lengths
    axes = "" if long_axis is None or short_axis is None else f"{long_axis:.1f} × {short_axis:.1f}"
    start: Cells = (name, size, axes, "" if longest is None else f"{longest:.1f}")
    if not channels:
        return [(*start, "", "", "", "")]
    return [
        (*(start if n == 0 else (f"{name}, channel {n + 1}", "", "", "")), *_values(values))
        for n, values in enumerate(channels)
    ]


def _values(values: ClassValues) -> Cells:
    glycolysis = "" if values.tlg is None else f", TLG {values.tlg:.4g} g"
    return (
        f"{values.mean:.4g} ± {values.standard_deviation:.3g} {values.unit}".rstrip() + glycolysis,
        f"{values.median:.4g}",
        f"{values.percentile_5:.4g} to {values.percentile_95:.4g}",
        f"{values.minimum:.4g} to {values.maximum:.4g}",
    )


def _objects_of(outcome: CaseOutcome) -> dict[str, list[Cells]]:
    path = (outcome.folder or Path()) / TABLE
    if TABLE not in outcome.outputs or not path.is_file():
        return {}
    return _largest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1000)
def _largest(path: Path, _changed: int) -> dict[str, list[Cells]]:
    """Rows of the largest things of each class, which come first in a table; read once during a run."""
    counts: Counter[str] = Counter()
    found: dict[str, list[Cells]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for line in table_rows(stream):
            name = name_from_cell(line["class"])
            if line["is_thing"] != "true" or counts[name] >= SHOWN:
                continue
            counts[name] += 1
            found.setdefault(name, []).extend(_object_cells(f"{name} {counts[name]}", line))
    return found


def _object_cells(name: str, line: dict[str, str]) -> Iterable[Cells]:
    unit = next(unit for unit in UNITS if unit in line)
    size = f"{float(line[unit]):.4g} {UNITS[unit]}" if line[unit] else ""
    lengths = [float(line[key]) if line.get(key) else None for key in ("diameter_mm", "long_axis_mm", "short_axis_mm")]
    if unit == "area_px":  # where the size of a pixel is not known, neither is a length in mm
        lengths[0] = None
    channels = []
    for suffix in ("", *(f"_{n}" for n in range(1, 1 + len(line)))):
        if not line.get(f"{INTENSITY}{suffix}") or f"median{suffix}" not in line:
            if suffix:
                break
            continue
        mean, unit_of = float(line[f"{INTENSITY}{suffix}"]), line[f"unit{suffix}"]
        median, deviation, least, most, low, high = (float(line[f"{key}{suffix}"]) for key in FIGURES[:-1])
        tlg = float(line[f"tlg{suffix}"]) if line[f"tlg{suffix}"] else None
        channels.append(ClassValues(mean, median, deviation, least, most, low, high, unit_of, tlg))
    return _cells(name, size, lengths, channels)
