"""`measurements.csv`: a row a class, volumes and what can be said of them without a reference."""

from __future__ import annotations

import io

from medseg.harmless import TableWriter
from medseg.types.quality import ClassQuality, Quality
from medseg.types.run import Volumes


def table_of_measurements(volumes: Volumes, quality: Quality | None = None) -> str:
    """Return the text of the table: volumes, quality where measured, and objects where the model makes any."""
    counted = any(row.objects is not None for row in volumes.rows)
    stream = io.StringIO()
    writer = TableWriter(stream)
    head = ["class", "voxels", volumes.rows[0].unit if volumes.rows else "volume_ml"]
    of_quality = (
        ["n_components", "largest_component_fraction", "touches_border", "boundary_entropy", "ensemble_dice"]
        if quality
        else []
    )
    writer.writerow([*head, *of_quality, *(["objects"] if counted else [])])
    for number, row in enumerate(volumes.rows):
        figures = _of_quality(quality.rows[number]) if quality else []
        objects = [row.objects] if counted else []
        writer.writerow([row.class_name, row.voxels, f"{row.size:.6g}", *figures, *objects])
    return stream.getvalue()


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
