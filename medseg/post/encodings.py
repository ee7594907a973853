"""Objects in the encodings other tools expect, all derived from the one id map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation
from medseg.post.numbering import renumber
from medseg.types import Instances, LabelClass, LabelMap, LabelTable
from medseg.types.labels import PALETTE, smallest_label_dtype

__all__ = ["class_times_1000", "one_class_per_object"]

BASE = 1000
# DICOM counts segments in 16 bits and allows 64 characters for the name of one.
MOST_SEGMENTS = 65535
LONGEST_NAME = 64


def class_times_1000(instances: Instances) -> npt.NDArray[np.int32]:
    """Return the map in which object k of a class is ``class * 1000 + k``, as Cityscapes writes instances.

    Things count from 1; a stuff region is ``class * 1000``.

    - returns, shape (X, Y, Z)
    """
    seen: dict[int, int] = {}
    final = np.zeros(len(instances.rows), np.int32)
    for place, row in enumerate(instances.rows):
        number = 0
        if row.is_thing:
            number = seen[row.class_value] = seen.get(row.class_value, 0) + 1
        if number >= BASE:
            objects = sum(other.is_thing and other.class_value == row.class_value for other in instances.rows)
            raise FormatLimitation(
                f"class * 1000 + k holds 999 objects of a class, and {instances.table.name_of(row.class_value)} has "
                f"{objects}",
                fix="Use the id map and its table, instances.nii.gz and instances.csv.",
            )
        final[place] = row.class_value * BASE + number
    ids = instances.ids.copy()
    renumber(ids, np.array([row.id for row in instances.rows], np.int64), final)
    return ids


def one_class_per_object(instances: Instances) -> LabelMap:
    """Return a label map with a class for each object, as DICOM SEG wants it: one segment per object.

    Each class carries the object's id as its value, a name such as ``lesion 3``, and the codes of the object's own
    class. Objects of a class are numbered in order of id, stuff keeps its name.
    """
    largest = max((row.id for row in instances.rows), default=0)
    if largest > MOST_SEGMENTS:
        raise FormatLimitation(
            f"DICOM SEG holds {MOST_SEGMENTS} segments, and there are objects up to number {largest}",
            fix="Remove small objects first, or export the id map: instances.nii.gz and instances.csv.",
        )
    kinds = {item.value: item for item in instances.table}
    seen: dict[int, int] = {}
    classes = []
    for row in instances.rows:
        kind = kinds.get(row.class_value, LabelClass(row.class_value, instances.table.name_of(row.class_value)))
        suffix = ""
        if row.is_thing:
            seen[kind.value] = seen.get(kind.value, 0) + 1
            suffix = f" {seen[kind.value]}"
        name = kind.name[: LONGEST_NAME - len(suffix)] + suffix
        color = PALETTE[(row.id - 1) % len(PALETTE)] if row.is_thing else kind.color
        classes.append(LabelClass(row.id, name, kind.category, kind.code, color, is_thing=row.is_thing))
    array = instances.ids.astype(smallest_label_dtype(largest))
    return LabelMap(array, instances.geometry, LabelTable(tuple(classes)))
