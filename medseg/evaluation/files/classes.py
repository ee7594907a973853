"""Settles what each value of a reference and a prediction means before they are compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from medseg.errors import InputError, UsageError
from medseg.types import AnyLabels, LabelClass, LabelMap, LabelTable, OverlappingLabels
from medseg.types.labels import PALETTE, smallest_label_dtype


def named(labels: AnyLabels, names: Mapping[int, str]) -> AnyLabels:
    """Give the classes of labels the names a dataset or the user has for them; others keep theirs."""
    if not names:
        return labels
    known = {entry.value: entry for entry in labels.table}
    for value, name in names.items():
        old = known.get(value)
        color = PALETTE[(value - 1) % len(PALETTE)] if old is None else old.color
        known[value] = LabelClass(value, name, color=color, is_thing=old is not None and old.is_thing)
    return _with_table(labels, LabelTable(tuple(known.values())))


def adopt(labels: AnyLabels, names: Mapping[int, str], *, what: str) -> tuple[AnyLabels, str | None]:
    """Give the classes of labels the names a dataset has for them, and a note where that overrode others.

    A file whose own names are all among the dataset's keeps them: it may number its classes otherwise, and names say
    what is meant. A class that has another name, such as a model's for what the dataset calls something else, is taken
    to be the dataset's class of its value.
    """
    own = {entry.value: entry.name for entry in labels.table if _has_name(entry)}
    known = {name.casefold() for name in names.values()}
    if own and all(name.casefold() in known for name in own.values()):
        return labels, None
    differing = {value: name for value, name in own.items() if names.get(value, name).casefold() != name.casefold()}
    if not differing:
        return named(labels, names), None
    list_of = ", ".join(f"{value} '{name}' as '{names[value]}'" for value, name in differing.items())
    return named(labels, names), f"classes of the {what} taken by value: {list_of}"


def agree(
    reference: AnyLabels, prediction: AnyLabels, *, where: object = None
) -> tuple[AnyLabels, LabelTable, str | None]:
    """Return the prediction in the reference's values, the classes of both, and a note where values were changed.

    Classes that have a name in both files are matched by name, since the numbers of segments mean nothing in DICOM SEG
    and Slicer files; all others by value. One value with different names in the two is an error.
    """
    theirs = {entry.name.casefold(): entry for entry in reference.table if _has_name(entry)}
    taken = {entry.value: entry for entry in reference.table}
    new_value: dict[int, int] = {}
    for entry in prediction.table:
        twin = theirs.get(entry.name.casefold()) if _has_name(entry) else None
        here = taken.get(entry.value)
        if twin is not None:
            new_value[entry.value] = twin.value
        elif here is not None and _has_name(entry) and _has_name(here):
            raise InputError(
                f"value {entry.value} is '{entry.name}' in the prediction and '{here.name}' in the reference",
                where=where,
                fix="Relabel one of them, or say what the values mean in both with --class 1=NAME.",
            )
        else:
            new_value[entry.value] = entry.value
    if len(set(new_value.values())) < len(new_value):
        raise InputError(
            "two classes of the prediction would become one of the reference",
            where=where,
            fix="Say what the values mean in both with --class 1=NAME.",
        )
    changed = {old: new for old, new in new_value.items() if old != new}
    table = dict(taken)
    for entry in prediction.table:
        value = new_value[entry.value]
        if value not in table or not _has_name(table[value]):
            table[value] = LabelClass(value, entry.name, entry.category, entry.code, entry.color, entry.is_thing)
    both = LabelTable(tuple(table.values()))
    if not changed:
        return prediction, both, None
    note = "classes matched by name: " + ", ".join(
        f"{prediction.table.name_of(old)} is {old} in the prediction, {new} in the reference"
        for old, new in changed.items()
    )
    return _renumbered(prediction, changed, both), both, note


def _renumbered(labels: AnyLabels, changed: Mapping[int, int], table: LabelTable) -> AnyLabels:
    """Labels with other values of some classes."""
    if isinstance(labels, OverlappingLabels):
        return labels.with_classes(table, changed)
    lookup = np.arange(65536)
    lookup[list(changed)] = list(changed.values())
    array = lookup.astype(smallest_label_dtype(max(table.largest, int(labels.array.max()))))[labels.array]
    return LabelMap(array, labels.geometry, table)


def _with_table(labels: AnyLabels, table: LabelTable) -> AnyLabels:
    if isinstance(labels, OverlappingLabels):
        return labels.with_classes(table)
    return LabelMap(labels.array, labels.geometry, table)


def class_values(
    table: LabelTable, names: Mapping[int, str] | None, regions: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Values that make up each class and region to measure, by name; `names` are the only classes to measure."""
    pairs = [(name, value) for value, name in names.items()] if names else [(e.name, e.value) for e in table]
    classes: dict[str, tuple[int, ...]] = {name: (value,) for name, value in pairs}
    for name, values in regions.items():
        if name in classes:
            raise UsageError(f"region '{name}' has the name of a class", fix="Give it another name.")
        classes[name] = tuple(values)
    return classes


def _has_name(entry: LabelClass) -> bool:
    return entry.name != f"class-{entry.value}"
