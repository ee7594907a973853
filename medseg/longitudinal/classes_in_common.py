"""Leaves two time points with the classes that can be compared: a class that nobody looked for is not gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medseg.errors import InputError
from medseg.longitudinal.time_point import TimePoint
from medseg.types import LabelClass, LabelMap, LabelTable
from medseg.types.overlapping import AnyLabels, OverlappingLabels


def with_classes_in_common(points: tuple[TimePoint, TimePoint]) -> tuple[TimePoint, TimePoint]:
    """Bring two time points to classes that both looked for, with a note or a warning of what was done.

    A model's table names all that it looks for, so that a class that it lacks says nothing about the patient. Where one
    model gave a structure whole at one time and its parts at the other, because the voxels were too large for them, the
    parts are taken together. Labels that no model made may lack a class because nothing of it is there.

    Raises
    ------
    InputError
        When no class can be compared.
    """
    before, after = points
    if before.model.hash and before.model.hash == after.model.hash:
        before, after = _whole(before, like=after), _whole(after, like=before)
    compared = _looked_for(before, by=after), _looked_for(after, by=before)
    names = [set(point.class_names()) for point in compared]
    was_any = bool(points[0].class_names() and points[1].class_names())
    if was_any and not names[0] & names[1] and not _unnamed(names[0] | names[1]):
        raise InputError(
            f"the two time points have no class in common: {_listed(points[0])}, and {_listed(points[1])}",
            where=f"{before.case_id}, {after.case_id}",
            fix="Give labels of the same structures, under the same names.",
        )
    return compared


def _whole(point: TimePoint, *, like: TimePoint) -> TimePoint:
    """Take together the classes whose whole the other time has: left hippocampus, of its two parts."""
    own, others = set(point.class_names()), set(like.class_names())
    if isinstance(point.labels, OverlappingLabels):
        return point  # its classes may be parts of one another anyway
    array, table, notes = point.labels.array, list(point.labels.table), []
    for whole in like.labels.table:
        words = set(whole.name.split())
        parts = [e for e in table if e.name not in others and words < set(e.name.split())]
        if whole.name in own or len(parts) < 2:
            continue
        array = np.where(np.isin(array, [e.value for e in parts]), parts[0].value, array).astype(array.dtype)
        merged = LabelClass(parts[0].value, whole.name, whole.category, whole.code, parts[0].color)
        table = [merged if e is parts[0] else e for e in table if e not in parts[1:]]
        notes.append(f"{point.case_id}: {' and '.join(e.name for e in parts)} are compared as {whole.name}.")
    if not notes:
        return point
    labels = LabelMap(array, point.labels.geometry, LabelTable(tuple(table)))
    return replace(point, labels=labels, notes=(*point.notes, *notes))


def _looked_for(point: TimePoint, *, by: TimePoint) -> TimePoint:
    """Drop the classes that the other time's model does not look for."""
    known = set(by.class_names())
    dropped = [entry for entry in point.labels.table if entry.name not in known]
    if not by.model.hash or not dropped:
        return point
    kept = [entry for entry in point.labels.table if entry.name in known]
    labels: AnyLabels
    if isinstance(point.labels, OverlappingLabels):
        labels = OverlappingLabels.of_masks(((e, point.labels.mask(e.value)) for e in kept), point.grid)
    else:
        array = np.where(np.isin(point.labels.array, [e.value for e in dropped]), 0, point.labels.array)
        labels = LabelMap(array.astype(point.labels.array.dtype), point.grid, LabelTable(tuple(kept)))
    names = ", ".join(entry.name for entry in dropped)
    return replace(
        point,
        labels=labels,
        warnings=(*point.warnings, f"{by.case_id}: {names} was not looked for there, and is not compared."),
    )


def _unnamed(names: set[str]) -> bool:
    """Whether all classes are called by their values alone, so that a class which lacks is one that is not there."""
    return bool(names) and all(name.startswith("class-") for name in names)


def _listed(point: TimePoint) -> str:
    names: Sequence[str] = point.class_names()
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
