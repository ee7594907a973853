"""Volumes of the classes of a prediction."""

from __future__ import annotations

from collections import Counter

from medseg.types import AnyLabels, Instances, LabelClass
from medseg.types.extent import Extent, extent_of
from medseg.types.overlapping import class_counts
from medseg.types.run import ClassVolume, Volumes


def measure_volumes(labels: AnyLabels, instances: Instances | None = None, unit: Extent = "volume_ml") -> Volumes:
    """Count the voxels of every class in the table, give their volume or area, and count objects where there are any.

    - `labels`: on any grid; a sheared one counts with its true voxel volume.
    - `instances`: objects made of the labels; a class that none were made of, or that is stuff, has no count.
    - returns: one row a class, in the table's order; absent classes have zero.
    """
    counts = class_counts(labels)
    voxel = extent_of(1, labels.geometry, unit)
    objects = None if instances is None else Counter(row.class_value for row in instances.rows if row.is_thing)

    def number(entry: LabelClass) -> int | None:
        if objects is None or (objects[entry.value] == 0 and (counts[entry.value] > 0 or not entry.is_thing)):
            return None
        return objects[entry.value]

    return Volumes(
        tuple(
            ClassVolume(c.name, int(counts[c.value]), float(counts[c.value] * voxel), number(c), unit)
            for c in labels.table
        )
    )
