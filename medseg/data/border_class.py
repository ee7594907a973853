"""Training data for the border-class method: objects become interiors and borders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from medseg.data.dataset import Dataset
from medseg.errors import ConfigError, InputError
from medseg.types import InstanceRow, Instances, LabelClass, LabelMap, LabelTable
from medseg.types.labels import BORDER, smallest_label_dtype


def border_labels(
    instances: Instances, width_mm: float, *, where: Literal["everywhere", "touching"] = "everywhere"
) -> LabelMap:
    """Turn objects into the label map a network learns borders from.

    The interior of an object keeps its class; voxels near its edge become the extra class ``border``, one for all
    classes. A network that has learned both separates touching objects, and `medseg.post.from_border` joins interiors
    and borders. Every object keeps an interior, if need be only its deepest voxels, because one without could not be
    found.

    - `width_mm`: voxels whose center lies no further than this from the center of a voxel outside the object are
      border. The spacing makes a border one voxel wide.
    - `where`: all around each object, or only where another object is no further than `width_mm`.
    """
    spacing = instances.geometry.spacing
    flat = [axis for axis, size in enumerate(instances.geometry.shape) if size == 1]
    finest = min(step for axis, step in enumerate(spacing) if axis not in flat or len(flat) == 3)
    if width_mm < finest * (1 - 1e-6):
        raise InputError(
            f"a border {width_mm:g} mm wide is less than one voxel of {finest:g} mm",
            fix="Set border_mm to at least the spacing.",
        )
    table = border_table(instances.table)
    array = np.zeros(instances.ids.shape, smallest_label_dtype(table.largest))
    margin = [int(np.ceil(width_mm / step)) + 1 for step in spacing]
    values, dense = np.unique(instances.ids, return_inverse=True)
    boxes = dict(zip(values.tolist(), find_objects(dense.reshape(instances.ids.shape) + 1), strict=True))
    for row in instances.rows:
        box = tuple(
            slice(max(0, part.start - more), min(size, part.stop + more))
            for part, more, size in zip(boxes[row.id], margin, instances.ids.shape, strict=True)
        )
        crop = instances.ids[box]
        inside = crop == row.id
        array[box][inside] = row.class_value
        if row.is_thing:
            array[box][_border(crop, inside, spacing, width_mm * (1 + 1e-6), where)] = table.largest
    return LabelMap(array, instances.geometry, table)


def with_border(data: Dataset, width_mm: float) -> Dataset:
    """Return a dataset of numbered objects whose cases are read as interiors and borders."""
    if data.references != "instances":
        raise ConfigError(
            "a border class needs references that number objects, and these are classes",
            where=data.folder,
            fix="Name the folder of references 'instances', or write 'references: instances' in a table; to learn "
            "classes alone, add --set border_mm=null.",
        )
    return replace(data, table=border_table(data.table), border_mm=width_mm)


def numbered_objects(labels: LabelMap, table: LabelTable) -> Instances:
    """Return the objects a reference numbers, all of the table's first class."""
    ids: npt.NDArray[Any] = labels.array.astype(np.int32)
    values, counts = np.unique(ids[ids > 0], return_counts=True)
    kind = table.classes[0].value
    rows = (InstanceRow(value, kind, True, n) for value, n in zip(values.tolist(), counts.tolist(), strict=True))
    return Instances(ids, labels.geometry, tuple(rows), table)


def border_table(table: LabelTable) -> LabelTable:
    """Return the table with the class ``border`` added after all others."""
    return LabelTable((*table.classes, LabelClass(table.largest + 1, BORDER, color=(255, 255, 255))))


def without_border(table: LabelTable, border: str = BORDER) -> LabelTable:
    """Return the table without the class of that name."""
    return LabelTable(tuple(item for item in table if item.name != border))


def _border(
    crop: npt.NDArray[np.int32],
    inside: npt.NDArray[np.bool_],
    spacing: tuple[float, float, float],
    width: float,
    where: Literal["everywhere", "touching"],
) -> npt.NDArray[np.bool_]:
    beyond = ~inside if where == "everywhere" else ~inside & (crop > 0)
    if not beyond.any():
        return np.zeros_like(inside)
    distance = distance_transform_edt(~beyond, sampling=spacing)
    border = inside & (distance <= width)
    if border.sum() == inside.sum():
        border &= distance < distance[inside].max()
    return np.asarray(border)
