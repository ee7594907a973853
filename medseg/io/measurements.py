"""`measurements.csv`: a row a class, volumes and what can be said of them without a reference."""

from __future__ import annotations

import io

from medseg.harmless import TableWriter
from medseg.types.quality import ClassQuality, Quality
from medseg.types.run import LENGTHS, ClassVolume, Volumes

# Columns of what the scan's values are inside a class, a channel.
VALUES = (
    "unit",
    "mean",
    "median",
    "standard_deviation",
    "minimum",
    "maximum",
    "percentile_5",
    "percentile_95",
    "tlg",
)

# Of the volume or area; empty where a class has none.
INTERVAL = ("interval_low", "interval_high", "interval_level", "interval_cases")
MARK = ("mark",)


def table_of_measurements(volumes: Volumes, quality: Quality | None = None, mark: str = "") -> str:
    """Return the text of the table: volumes, quality where measured, and objects where the model makes any.

    A `mark` of a result that was to be withheld is in each row, in a column that other results do not have.
    """
    counted = any(row.objects is not None for row in volumes.rows)
    stream = io.StringIO()
    writer = TableWriter(stream)
    head = ["class", "voxels", volumes.rows[0].unit if volumes.rows else "volume_ml"]
    of_quality = (
        ["n_components", "largest_component_fraction", "touches_border", "boundary_entropy", "ensemble_dice"]
        if quality
        else []
    )
    channels = max((len(row.values) for row in volumes.rows), default=0)
    with_interval = any(row.interval is not None for row in volumes.rows)
    measured = [*LENGTHS, *_value_columns(channels)] if channels else []
    intervals = INTERVAL if with_interval else ()
    marked = [mark] if mark else []
    objects_head = ["objects"] if counted else []
    writer.writerow([*head, *of_quality, *objects_head, *measured, *intervals, *(MARK if mark else ())])
    for number, row in enumerate(volumes.rows):
        figures = _of_quality(quality.rows[number]) if quality else []
        objects = [row.objects] if counted else []
        values = _of_values(row, channels) if channels else []
        interval = _of_interval(row) if with_interval else []
        cells = [row.class_name, row.voxels, f"{row.size:.6g}", *figures, *objects, *values, *interval]
        writer.writerow([*cells, *marked])
    return stream.getvalue()


def _value_columns(channels: int) -> list[str]:
    """Names of the columns; with the number of the channel where there are several."""
    return [f"{name}_{n}" if channels > 1 else name for n in range(1, channels + 1) for name in VALUES]


def _of_values(row: ClassVolume, channels: int) -> list[object]:
    if not row.values:
        return [""] * (len(LENGTHS) + channels * len(VALUES))
    lengths = [getattr(row, name) for name in LENGTHS]
    cells: list[object] = ["" if length is None else f"{length:.6g}" for length in lengths]
    for values in row.values:
        figures: dict[str, object] = {name: f"{value:.6g}" for name, value in values.figures().items()}
        figures["unit"] = values.unit
        cells += [figures.get(name, "") for name in VALUES]
    return cells


def _of_interval(row: ClassVolume) -> list[object]:
    found = row.interval
    if found is None:
        return [""] * len(INTERVAL)
    return [f"{found.low:.6g}", f"{found.high:.6g}", f"{found.level:g}", found.cases]


def _of_quality(quality: ClassQuality) -> list[object]:
    fraction = f"{quality.largest_component_fraction:.3g}" if quality.n_components else ""
    return [
        quality.n_components,
        fraction,
        int(quality.touches_border),
        _figure(quality.boundary_entropy),
        _figure(quality.ensemble_dice),
    ]


def _figure(value: float | None) -> str:
    """Two significant digits: more would differ from engine to engine."""
    return "" if value is None else f"{value:.2f}"
