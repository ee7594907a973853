"""Objects as a label map with a class for each, so that every format for labels holds objects too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from medseg.errors import FormatLimitation
from medseg.types import Instances, LabelClass, LabelMap, LabelTable
from medseg.types.labels import PALETTE, smallest_label_dtype

# DICOM counts segments in 16 bits and allows 64 characters for the name of one.
MOST = 65535
LONGEST_NAME = 64


def object_labels(instances: Instances) -> LabelMap:
    """Return a label map whose classes are objects, counted within each class: *kidney 1*, *kidney 2*, *lesion 1*.

    Objects of a class are counted by id; a stuff region keeps its class's name. Values are the ids, codes those
    of the class. Neighboring ids differ in color; stuff has the color of its class.
    """
    largest = max((row.id for row in instances.rows), default=0)
    if largest > MOST:
        raise FormatLimitation(
            f"there are {largest} objects, and formats of labels hold {MOST}",
            fix="Remove small objects first, or use instances.nii.gz.",
        )
    classes = {entry.value: entry for entry in instances.table}
    counts: Counter[int] = Counter()
    table = []
    for row in instances.rows:
        entry = classes.get(row.class_value, LabelClass(row.class_value, f"class-{row.class_value}"))
        color, suffix = entry.color, ""
        if row.is_thing:
            counts[row.class_value] += 1
            color, suffix = PALETTE[(row.id - 1) % len(PALETTE)], f" {counts[row.class_value]}"
        name = entry.name[: LONGEST_NAME - len(suffix)] + suffix
        table.append(replace(entry, value=row.id, name=name, color=color, is_thing=row.is_thing))
    array = instances.ids.astype(smallest_label_dtype(largest))
    return LabelMap(array, instances.geometry, LabelTable(tuple(table)))
