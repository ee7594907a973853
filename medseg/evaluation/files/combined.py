"""Brings a reference and a prediction whose classes may overlap into two label maps with the same meaning of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from medseg.errors import FormatLimitation
from medseg.types import AnyLabels, LabelClass, LabelMap, LabelTable, OverlappingLabels
from medseg.types.overlapping import MOST_COMBINATIONS


@dataclass(frozen=True, eq=False)
class Combined:
    """A reference and a prediction; a value of theirs stands for a combination of classes.

    - `table`: one entry for each value; a class alone has its own value and name, others are called "liver + tumor".
    - `values_of`: the values of the maps that each class is part of, by the class's own.
    """

    reference: LabelMap
    prediction: LabelMap
    table: LabelTable
    values_of: Mapping[int, tuple[int, ...]]


def combine(reference: AnyLabels, prediction: AnyLabels, classes: LabelTable) -> Combined:
    """Number the combinations that either holds, so that every measure of unions of values is one of classes."""
    sides = [
        one if isinstance(one, OverlappingLabels) else OverlappingLabels.of_map(one) for one in (reference, prediction)
    ]
    number: dict[frozenset[int], int] = {frozenset({entry.value}): entry.value for entry in classes}
    number[frozenset()] = 0
    entries, names = list(classes), {entry.name for entry in classes}
    for together in {frozenset(values): None for side in sides for values in side.classes_of}:
        if together in number:
            continue
        number[together] = max(number.values()) + 1
        if number[together] > MOST_COMBINATIONS:
            raise FormatLimitation(
                f"its classes overlap in more than {MOST_COMBINATIONS:,} ways", fix="Measure fewer classes at a time."
            )
        name = " + ".join(classes.name_of(value) for value in sorted(together))
        while name in names:
            name += " (together)"
        names.add(name)
        entries.append(LabelClass(number[together], name))
    maps = [_numbered(side, number) for side in sides]
    values_of = {
        entry.value: tuple(sorted(value for together, value in number.items() if entry.value in together))
        for entry in classes
    }
    table = LabelTable(tuple(entries))
    first, second = (LabelMap(one.array, one.geometry, table) for one in maps)
    return Combined(first, second, table, values_of)


def joined(labels: LabelMap, regions: Mapping[str, tuple[int, ...]], like: LabelTable) -> OverlappingLabels:
    """Return a label map as the regions its values belong to, with the values that a table has for their names.

    - `regions`: values of the label map that each joins.
    """
    own = {entry.name.casefold(): entry.value for entry in like}
    free = (value for value in range(1, MOST_COMBINATIONS) if value not in own.values())
    classes = {name: own.get(name.casefold()) or next(free) for name in regions}
    of_value = [
        tuple(classes[name] for name, values in regions.items() if value in values)
        for value in range(int(labels.array.max(initial=0)) + 1)
    ]
    of_value[0] = ()
    table = LabelTable(tuple(LabelClass(value, name) for name, value in classes.items()))
    return OverlappingLabels(labels.array, labels.geometry, table, tuple(of_value))


def _numbered(labels: OverlappingLabels, number: Mapping[frozenset[int], int]) -> LabelMap:
    lookup = np.array([number[frozenset(values)] for values in labels.classes_of], np.uint16)
    # Always 16 bits: a confusion matrix of both sides needs one type.
    return LabelMap(lookup[labels.combinations], labels.geometry, LabelTable(()))
