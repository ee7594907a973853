"""Values of the scan inside each class and object, and how far the class reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.post.connectivity import flat_axis
from medseg.post.diameter import longest_diameter
from medseg.post.in_plane_axes import in_plane_axes, slice_axis
from medseg.threads import side_by_side
from medseg.types import AnyLabels, LabelClass, LabelMap, Scan
from medseg.types.class_values import ClassValues
from medseg.types.overlapping import class_map
from medseg.types.run import ClassVolume, Volumes


def measure_values(scan: Scan, labels: AnyLabels, volumes: Volumes) -> Volumes:
    """Add to the volume of each class its diameters and the scan's values inside it, channel by channel.

    - `scan`: on the grid of the labels, which is checked.
    - `volumes`: of these labels, one row a class in the table's order; that of a class without voxels stays as it is.
    """
    labels.geometry.match(scan.geometry, what="the grids of the labels and the scan")
    matrix = np.ascontiguousarray(labels.geometry.affine[:3, :3])
    flat, across = flat_axis(labels.geometry.shape), slice_axis(labels.geometry)
    boxes = list[Any]()
    if isinstance(labels, LabelMap) and len(labels.table):
        boxes = ndimage.find_objects(labels.array, labels.table.largest)
    entries = dict(zip(labels.table, volumes.rows, strict=True))

    def measured(entry: LabelClass) -> ClassVolume:
        one, row = class_map(labels, entry).array, entries[entry]
        box: Any = boxes[entry.value - 1] if boxes else ndimage.find_objects((one != 0).view(np.uint8), 1)[0]
        if box is None:
            return row
        mask = one[box] == entry.value
        volume_ml = row.size if row.unit == "volume_ml" else None
        values = tuple(values_of(channel[box][mask], scan.source.value_unit, volume_ml) for channel in scan.array)
        row = replace(row, values=values)
        if row.unit == "area_px":  # where the size of a pixel is not known, neither is a length in mm
            return row
        long_axis, short_axis = in_plane_axes(mask, matrix, across)
        longest = longest_diameter(mask, matrix, flat)
        return replace(row, diameter_mm=longest, long_axis_mm=long_axis, short_axis_mm=short_axis)

    return replace(volumes, rows=tuple(side_by_side(measured, labels.table)))


def values_of(found: npt.NDArray[np.generic], unit: str, volume_ml: float | None) -> ClassValues:
    """Return the figures of the values of one channel, shape (voxels,); of SUV in so much volume also the TLG."""
    values = found.astype(np.float64)
    low, median, high = (float(one) for one in np.percentile(values, (5, 50, 95)))
    mean = float(values.mean())
    tlg = mean * volume_ml if unit == "SUV" and volume_ml is not None else None
    return ClassValues(
        mean, median, float(values.std()), float(values.min()), float(values.max()), low, high, unit, tlg
    )
