"""Values of the scan inside each class, and how far the class reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.post.connectivity import flat_axis
from medseg.post.diameter import longest_diameter
from medseg.types import LabelMap, Scan
from medseg.types.class_values import ClassValues
from medseg.types.run import ClassVolume, Volumes


def measure_values(scan: Scan, labels: LabelMap, volumes: Volumes) -> Volumes:
    """Add to the volume of each class its longest diameter and the scan's values inside it, channel by channel.

    - `scan`: on the grid of the labels, which is checked.
    - `volumes`: of these labels, one row a class in the table's order; that of a class without voxels stays as it is.
    """
    labels.geometry.match(scan.geometry, what="the grids of the labels and the scan")
    boxes: list[Any] = ndimage.find_objects(labels.array, max_label=labels.table.largest) if len(labels.table) else []
    matrix = np.ascontiguousarray(labels.geometry.affine[:3, :3])
    flat = flat_axis(labels.geometry.shape)
    rows = []
    for entry, row in zip(labels.table, volumes.rows, strict=True):
        box = boxes[entry.value - 1]
        if box is None:
            rows.append(row)
            continue
        mask = labels.array[box] == entry.value
        values = tuple(_values(channel[box][mask], row, scan.source.value_unit) for channel in scan.array)
        # Where the size of a pixel is not known, neither is a length in mm.
        diameter = None if row.unit == "area_px" else longest_diameter(mask, matrix, flat)
        rows.append(replace(row, values=values, diameter_mm=diameter))
    return Volumes(tuple(rows))


def _values(found: npt.NDArray[np.generic], row: ClassVolume, unit: str) -> ClassValues:
    values = found.astype(np.float64)
    low, median, high = (float(one) for one in np.percentile(values, (5, 50, 95)))
    mean = float(values.mean())
    tlg = mean * row.size if unit == "SUV" and row.unit == "volume_ml" else None
    return ClassValues(
        mean, median, float(values.std()), float(values.min()), float(values.max()), low, high, unit, tlg
    )
