"""What is measured of each object: size, place, shape, mean probability and the scan's values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medseg.counted import counted
from medseg.errors import InputError
from medseg.post.class_values import values_of
from medseg.post.connectivity import flat_axis
from medseg.post.diameter import longest_diameter
from medseg.post.in_plane_axes import in_plane_axes, slice_axis
from medseg.post.regions import count_regions
from medseg.post.surface_area import sphericity
from medseg.types import Instances, LabelTable, Scan
from medseg.types.extent import extent_unit
from medseg.types.instances import InstanceMeasures, InstanceRow


def measure(instances: Instances, scan: Scan | None = None, *, shape: bool = True) -> Instances:
    """Measure every object.

    - `instances`: objects. Where rows have no measures yet, size and place are counted first.
    - `scan`: on the same grid: gives the values of each channel inside each object.
    - `shape`: whether to measure diameters and sphericity, of things only: a stuff region may have many parts.
    """
    if scan is not None:
        instances.geometry.match(scan.geometry, what="the grids of the objects and the scan")
    instances = located(instances)
    matrix = np.ascontiguousarray(instances.geometry.affine[:3, :3])
    flat, across = flat_axis(instances.geometry.shape), slice_axis(instances.geometry)
    rows = []
    for row in instances.rows:
        mask, measures = _mask(instances, row), _measures(row)
        if shape and row.is_thing:
            measures = replace(
                measures,
                diameter_mm=longest_diameter(mask, matrix, flat),
                sphericity=sphericity(mask, matrix, flat),
            )
        # Where the size of a pixel is not known, neither is a length in mm.
        if shape and row.is_thing and (scan is None or extent_unit(scan.geometry, scan.source) != "area_px"):
            long_axis, short_axis = in_plane_axes(mask, matrix, across)
            measures = replace(measures, long_axis_mm=long_axis, short_axis_mm=short_axis)
        if scan is not None:
            crop = scan.array[(slice(None), *measures.box)]
            volume_ml = None if flat is not None else measures.volume_ml
            values = tuple(values_of(channel[mask], scan.source.value_unit, volume_ml) for channel in crop)
            measures = replace(measures, mean_intensity=tuple(one.mean for one in values), values=values)
        rows.append(replace(row, measures=measures))
    return replace(instances, rows=tuple(rows))


def score(instances: Instances, probabilities: npt.NDArray[np.floating]) -> Instances:
    """Give each object the mean probability of its class over its voxels, as COCO's score.

    - `probabilities`, shape (1 + classes, X, Y, Z): background first, then the classes of the label table in its order,
      as in `Prediction`.
    """
    wanted = (1 + len(instances.table), *instances.geometry.shape)
    if probabilities.shape != wanted:
        raise InputError(
            f"probabilities of shape {probabilities.shape} do not fit {len(instances.table)} classes: need {wanted}",
            fix="Give the probabilities of the same prediction, the background first.",
        )
    channels = channel_of_class(instances.table)
    instances = located(instances)
    rows = []
    for row in instances.rows:
        crop = probabilities[channels[row.class_value]][_measures(row).box]
        rows.append(replace(row, score=float(crop[_mask(instances, row)].mean(dtype=np.float64))))
    return replace(instances, rows=tuple(rows))


def channel_of_class(table: LabelTable) -> dict[int, int]:
    """Return the place of each class value along the first axis of probabilities."""
    return {item.value: place for place, item in enumerate(table, start=1)}


def located(instances: Instances) -> Instances:
    """Return the objects with size and place counted, where any row has none yet."""
    if all(row.measures is not None for row in instances.rows):
        return instances
    ids, regions = count_regions(instances.ids)
    if ids.tolist() != [row.id for row in instances.rows]:
        raise InputError(
            f"the table lists {counted(len(instances.rows), 'object')} and the id map holds {len(ids)}: not the same",
            fix="Read both from the same run.",
        )
    measured = regions.rows(instances.geometry, np.ones(len(regions), bool))
    rows = (
        row if row.measures is not None else replace(row, measures=found.measures)
        for row, found in zip(instances.rows, measured, strict=True)
    )
    return replace(instances, rows=tuple(rows))


def _mask(instances: Instances, row: InstanceRow) -> npt.NDArray[np.bool_]:
    return np.asarray(instances.ids[_measures(row).box] == row.id)


def _measures(row: InstanceRow) -> InstanceMeasures:
    if row.measures is None:
        raise InputError(
            f"object {row.id} has not been located", fix="Pass the objects through medseg.post.measure.located first."
        )
    return row.measures
