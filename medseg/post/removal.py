"""Clean-up that takes objects away: keep the largest, remove the small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from medseg.post.components import components
from medseg.post.connectivity import Connectivity
from medseg.types import Instances, LabelMap
from medseg.types.instances import InstanceRow


def keep_largest(
    labels: LabelMap, *, count: int = 1, classes: Collection[int] | None = None, connectivity: Connectivity = 26
) -> LabelMap:
    """Keep the largest objects of each class; voxels of the others become background."""
    found = components(labels, connectivity=connectivity, classes=classes)
    counts: Counter[int] = Counter()
    lost = []
    for row in found.rows:  # the largest of a class comes first
        counts[row.class_value] += 1
        if counts[row.class_value] > count:
            lost.append(row)
    return _without(labels, found, lost)


def remove_small(
    labels: LabelMap, min_mm3: float, *, classes: Collection[int] | None = None, connectivity: Connectivity = 26
) -> LabelMap:
    """Remove objects smaller than a volume in mm³; one of exactly that volume stays. Parameters as `keep_largest`."""
    found = components(labels, connectivity=connectivity, classes=classes)
    # Compared in voxels, with a margin for the rounding of a volume that is a whole number of them.
    fewest = min_mm3 / labels.geometry.voxel_volume * (1 - 1e-9)
    return _without(labels, found, [row for row in found.rows if row.voxels < fewest])


def _without(labels: LabelMap, found: Instances, lost: Iterable[InstanceRow]) -> LabelMap:
    array = labels.array.copy()
    for row in lost:
        assert row.measures is not None
        box = row.measures.box
        array[box][found.ids[box] == row.id] = 0
    return LabelMap(array, labels.geometry, labels.table)
