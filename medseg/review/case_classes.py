"""What the segments of another program's labels are among the classes of a case: by name, never by guess."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from medseg.errors import InputError
from medseg.types import LabelClass, LabelMap, LabelTable
from medseg.types.labels import smallest_label_dtype

# What programs call a segment that nobody named: ours, 3D Slicer's, OHIF's, MITK's and ITK-SNAP's words.
UNNAMED = re.compile(r"(?:new )?(?:class|segment|label|roi|structure)[ _-]?(\d+)", re.IGNORECASE)


def in_case_classes(
    labels: LabelMap, table: LabelTable, renamed: Mapping[str, str] | None = None, *, where: object = None
) -> LabelMap:
    """Return labels in the values of a case's own table.

    A segment is the class of its name, in any case of letters. One that nobody named, such as "Segment 2", is the class
    of its value, where that is the number in its name. Segments without a voxel are dropped.

    - `renamed`: which class a segment of some name is; several may be the same class.

    Raises
    ------
    InputError
        When a segment is none of the classes, or two are one class without being renamed to it.
    """
    renamed = {name.casefold(): target for name, target in (renamed or {}).items()}
    present = set(np.unique(labels.array).tolist()) - {0}
    values: dict[int, int] = {}
    for value in sorted(present):
        entry = next((one for one in labels.table if one.value == value), LabelClass(value, f"class-{value}"))
        values[value] = _class_of(entry, table, renamed, where).value
    explicit = {entry.value for entry in labels.table if entry.name.casefold() in renamed}
    taken = [new for old, new in values.items() if old not in explicit]
    if twice := next((new for new in taken if list(values.values()).count(new) > 1), None):
        names = " and ".join(f"'{labels.table.name_of(old)}'" for old, new in values.items() if new == twice)
        raise InputError(
            f"{names} are both '{table.name_of(twice)}'",
            where=where,
            fix=f"If that is meant, say so with --class NAME={table.name_of(twice)} for each.",
        )
    if all(old == new for old, new in values.items()):
        return LabelMap(labels.array.astype(smallest_label_dtype(table.largest)), labels.geometry, table)
    lookup = np.zeros(max(values) + 1, smallest_label_dtype(table.largest))
    lookup[list(values)] = list(values.values())
    return LabelMap(lookup[labels.array], labels.geometry, table)


def _class_of(entry: LabelClass, table: LabelTable, renamed: Mapping[str, str], where: object) -> LabelClass:
    wanted = renamed.get(entry.name.casefold(), entry.name)
    by_name = next((one for one in table if one.name.casefold() == wanted.casefold()), None)
    if by_name is not None:
        return by_name
    unnamed = UNNAMED.fullmatch(wanted)
    by_value = next((one for one in table if one.value == entry.value), None)
    if unnamed and int(unnamed[1]) == entry.value and by_value is not None:
        return by_value
    known = ", ".join(one.name for one in table)
    what = f"the value {entry.value}" if wanted == f"class-{entry.value}" else f"the segment '{wanted}'"
    raise InputError(
        f"{what} is none of the case's classes ({known})",
        where=where,
        fix=f"Name it after its class, or say which it is with --class '{wanted}=CLASS'.",
    )
