"""Measures the objects of one time point on its own grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medseg.longitudinal.sizes import half_width_ml
from medseg.longitudinal.time_point import TimePoint
from medseg.post.plane_axes import plane_axes
from medseg.post.surface_area import surface_area
from medseg.types import Instances
from medseg.types.follow_up import PlaneAxes, TrackedObject


def measure_objects(point: TimePoint, objects: Instances, classes: tuple[str, ...]) -> tuple[TrackedObject, ...]:
    """Measure each object of these classes: volume with its interval, axes in the plane of measurement, place."""
    matrix = np.ascontiguousarray(point.grid.affine[:3, :3])
    return tuple(
        TrackedObject(
            row.id,
            name,
            row.measures.volume_ml,
            half_width_ml(surface_area(mask, matrix), point.grid),
            row.measures.centroid_mm,
            _on_grid(plane_axes(mask, matrix, point.plane_axis), row.measures.start),
            _touches(row.measures.start, row.measures.stop, point.grid.shape),
        )
        for row in objects.rows
        if row.measures is not None
        and row.is_thing
        and (name := objects.table.name_of(row.class_value)) in classes
        and (mask := np.asarray(objects.ids[row.measures.box] == row.id)).any()
    )


def _on_grid(axes: PlaneAxes, start: tuple[int, int, int]) -> PlaneAxes:
    """Return axes measured in an object's box with places on the whole grid."""
    axis, index = axes.plane
    first, last = ((x + start[0], y + start[1], z + start[2]) for x, y, z in axes.ends)
    return replace(axes, plane=(axis, index + start[axis]), ends=(first, last))


def _touches(start: tuple[int, int, int], stop: tuple[int, int, int], shape: tuple[int, int, int]) -> bool:
    return any(a == 0 or b == n for a, b, n in zip(start, stop, shape, strict=True) if n > 1)
