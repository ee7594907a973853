"""The classes of a case: the model's, and those that earlier revisions have beside, distinguished by their names.

A model that is replaced may number its classes otherwise: value 1 was the liver and is the kidney now. A correction
drawn over the old model's labels keeps its meaning because a class is known by its name, and only then given a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation
from medseg.types import LabelMap, LabelTable

LARGEST = 65535


def case_table(model: LabelTable, drawn: Iterable[LabelTable]) -> LabelTable:
    """Return the model's classes with their values, and further ones of revisions, each with a value that is free."""
    classes = {entry.name: entry for entry in model}
    values = {entry.value for entry in model}
    for table in drawn:
        for entry in table:
            if entry.name in classes:
                continue
            value = entry.value if entry.value not in values else _free(values)
            classes[entry.name] = replace(entry, value=value)
            values.add(value)
    return LabelTable(tuple(classes.values()))


def with_values_of(labels: LabelMap, table: LabelTable) -> LabelMap:
    """Return labels with the values that a table, which has all their classes, gives them."""
    values = {entry.name: entry.value for entry in table}
    if all(values[entry.name] == entry.value for entry in labels.table):
        return LabelMap(labels.array, labels.geometry, table)
    lookup: npt.NDArray[np.uint16] = np.zeros(LARGEST + 1, np.uint16)
    for entry in labels.table:
        lookup[entry.value] = values[entry.name]
    return LabelMap(lookup[labels.array], labels.geometry, table)


def in_use(labels: LabelMap, model: LabelTable) -> LabelMap:
    """Return labels without the classes that neither the model has nor any voxel is of."""
    values = {entry.value for entry in model} | set(np.unique(labels.array).tolist())
    kept = tuple(entry for entry in labels.table if entry.value in values)
    return LabelMap(labels.array, labels.geometry, LabelTable(kept))


def _free(values: set[int]) -> int:
    value = next((value for value in range(1, LARGEST + 1) if value not in values), None)
    if value is None:
        raise FormatLimitation("there are more classes than values", fix="Review them in folders of their own.")
    return value
