"""Objects as a label map with a class for each, so that every format for labels holds objects too."""

from __future__ import annotations

from dataclasses import replace

from medseg.errors import FormatLimitation
from medseg.types import Instances, LabelClass, LabelMap, LabelTable
from medseg.types.labels import PALETTE, smallest_label_dtype

__all__ = ["object_labels"]

MOST = 65535


def object_labels(instances: Instances) -> LabelMap:
    """Return a label map whose classes are objects: *lesion 1*, *lesion 2*; a stuff region keeps its class's name.

    Values are the ids, codes those of the class. Neighboring ids differ in color; stuff has the color of its class.
    """
    largest = max((row.id for row in instances.rows), default=0)
    if largest > MOST:
        raise FormatLimitation(
            f"there are {largest} objects, and formats of labels hold {MOST}", fix="Keep to instances.nii.gz."
        )
    classes = {entry.value: entry for entry in instances.table}
    table = []
    for row in instances.rows:
        entry = classes.get(row.class_value, LabelClass(row.class_value, f"class-{row.class_value}"))
        color = PALETTE[(row.id - 1) % len(PALETTE)] if row.is_thing else entry.color
        name = f"{entry.name} {row.id}" if row.is_thing else entry.name
        table.append(replace(entry, value=row.id, name=name, color=color, is_thing=row.is_thing))
    array = instances.ids.astype(smallest_label_dtype(largest))
    return LabelMap(array, instances.geometry, LabelTable(tuple(table)))
