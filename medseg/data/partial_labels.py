"""Partial labels: cases whose references annotate some of the classes only.

In such a case a class that is not annotated may be anywhere in the background, so that the background there teaches
nothing about it: training masks it in the loss, measures skip it, and the audit does not miss it. Which classes a case
annotates is stated (`annotated` in YAML or in a table), or shown by its files: a class has no mask of its own, or no
structure or segment of its name, where other cases have one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from medseg.counted import counted
from medseg.data.dataset import Dataset, DatasetCase
from medseg.errors import ConfigError, InputError
from medseg.io.dicom_results.label_objects import names_in
from medseg.io.recognize import recognize


def with_annotated(data: Dataset) -> Dataset:
    """Return the dataset with the classes that each of its cases annotates, where these are not all."""
    _check(data)
    cases: list[DatasetCase] = []
    not_shown: dict[str, int] = {}
    for case in data.cases:
        stated = _stated(data, case)
        names = stated if stated is not None or case.reference is None else _shown(data, case)
        if names is not None and {c.name for c in data.table} <= set(names):
            names = None
        if names is not None and stated is None:
            for entry in data.table:
                not_shown[entry.name] = not_shown.get(entry.name, 0) + (entry.name not in names)
        cases.append(replace(case, annotated=names))
    every = ", ".join(c.name for c in data.table)
    guessed = tuple(
        f"{count} of {counted(len(data.labeled), 'case')} have no mask or structure for '{name}', so it counts as not "
        f"annotated there; where it is absent instead, state: annotated: {{'*': [{every}]}}"
        for name, count in not_shown.items()
        if count
    )
    return replace(data, cases=tuple(cases), ambiguous=(*data.ambiguous, *guessed))


def partly_annotated(data: Dataset, cases: Sequence[DatasetCase] | None = None) -> dict[str, int]:
    """How many of some labeled cases, by default of all, annotate a class; of classes that not all of them do."""
    chosen = data.labeled if cases is None else cases
    counts = {c.name: sum(case.annotates(c.name) for case in chosen) for c in data.table}
    return {name: count for name, count in counts.items() if count < len(chosen)}


def annotation_text(counts: dict[str, int], cases: int) -> str:
    """Say which classes some of so many cases annotate; empty where all annotate all."""
    return ", ".join(f"'{name}' is annotated in {count} of {counted(cases, 'case')}" for name, count in counts.items())


def _check(data: Dataset) -> None:
    names = {c.name for c in data.table}
    stated = {**data.annotated, **{case.case_id: case.annotated for case in data.cases if case.annotated is not None}}
    if stated and data.references == "instances":
        raise ConfigError(
            "numbered objects are all of one class, so they cannot be annotated in part",
            where="annotated",
            fix="Omit the key.",
        )
    for pattern, given in stated.items():
        unknown = next((name for name in given if name not in names), None)
        if unknown is not None or not given:
            raise ConfigError(
                f"'{pattern}' annotates '{unknown}', which is no class" if given else f"'{pattern}' annotates no class",
                where="annotated",
                fix=f"Name some of {', '.join(c.name for c in data.table)}.",
            )
    for pattern in data.annotated:
        if not any(fnmatchcase(case.case_id, pattern) for case in data.cases):
            raise ConfigError(
                f"no case is called '{pattern}'", where="annotated", fix="Write a case's name, or a pattern as lits_*."
            )


def _stated(data: Dataset, case: DatasetCase) -> tuple[str, ...] | None:
    if case.annotated is not None:
        return case.annotated
    return next((tuple(names) for pattern, names in data.annotated.items() if fnmatchcase(case.case_id, pattern)), None)


def _shown(data: Dataset, case: DatasetCase) -> tuple[str, ...] | None:
    """Classes for which a reference has a mask or a structure; None where its files cannot show it."""
    if case.reference is None:
        return None
    if case.parts:
        values = {part.value for part in case.parts}
        return (
            None
            if None in values or (data.regions and not data.masks)
            else tuple(c.name for c in data.table if c.value in values)
        )
    if not data.structures or not case.reference.is_file() or recognize(case.reference).kind != "dicom":
        return None
    try:
        names = names_in(case.reference)
    except InputError:
        return None  # the audit says what is wrong with it
    found = {
        value
        for value, pattern in data.structures.items()
        if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names)
    }
    return tuple(c.name for c in data.table if c.value in found) or None
