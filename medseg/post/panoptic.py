"""Things and stuff in one id map, with one table of everything measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.post.connectivity import Connectivity, neighborhood
from medseg.post.measure import located, measure, score
from medseg.post.regions import count_regions
from medseg.post.runs import slabs, slowest_last
from medseg.post.slab_labeling import label_in_slabs
from medseg.types import Instances, LabelMap, LabelTable, Scan
from medseg.types.instances import InstanceRow


def panoptic(
    labels: LabelMap,
    things: Instances | None = None,
    *,
    probabilities: npt.NDArray[np.floating] | None = None,
    scan: Scan | None = None,
    shape: bool = True,
    connectivity: Connectivity = 26,
    planes: int | None = None,
    out: npt.NDArray[np.int32] | None = None,
) -> Instances:
    """Merge things and stuff into one id map, and measure every row.

    Each object of a thing class is a row, and each stuff class is one row however many parts it has. A voxel of an
    object belongs to it whatever class the label map gives it there; a voxel of a thing class that belongs to no
    object is background.

    - `things`: objects of the thing classes, from any of the methods; connected components by default.
    - `probabilities`, shape (1 + classes, X, Y, Z): as in `Prediction`; each row gets the mean of its class.
    """
    merged = _by_components(labels, connectivity, planes, out) if things is None else _merge(labels, things, out)
    if probabilities is not None:
        merged = score(merged, probabilities)
    return measure(merged, scan, shape=shape)


def _by_components(
    labels: LabelMap, connectivity: Connectivity, planes: int | None, out: npt.NDArray[np.int32] | None
) -> Instances:
    """Things as connected components, in the same pass that gathers stuff."""
    ids, regions = label_in_slabs(
        labels.array,
        labels.geometry,
        connectivity=neighborhood(connectivity, labels.geometry.shape),
        joined=_stuff(labels.table),
        planes=planes,
        out=out,
    )
    _check_known(np.unique(regions.class_values), labels.table)
    rows = regions.rows(labels.geometry, ~np.isin(regions.class_values, _stuff(labels.table)))
    return Instances(ids, labels.geometry, rows, labels.table)


def _merge(labels: LabelMap, things: Instances, out: npt.NDArray[np.int32] | None) -> Instances:
    """Lay objects over the stuff of a label map."""
    labels.geometry.match(things.geometry, what="the grids of the labels and the objects")
    stuff = _stuff(labels.table)
    if wrong := [row for row in things.rows if row.class_value in stuff]:
        name = labels.table.name_of(wrong[0].class_value)
        raise InputError(
            f"object {wrong[0].id} is of class {name}, which is stuff in the label table",
            fix="Let the class be a thing there, or leave the object out.",
        )
    things = located(things)
    last = max((row.id for row in things.rows), default=0)
    ids = np.zeros_like(things.ids) if out is None else out
    axes = slowest_last(things.ids)
    source, drawn, result = (array.transpose(axes) for array in (labels.array, things.ids, ids))
    # Stuff first gets ids beyond those of the objects, so that one count over the volume gives its size and place.
    table = np.zeros(np.iinfo(labels.array.dtype).max + 1, np.int32)
    table[list(stuff)] = last + 1 + np.arange(len(stuff))
    for first, beyond in slabs(source.shape):
        block = drawn[..., first:beyond]
        result[..., first:beyond] = np.where(block > 0, block, table[source[..., first:beyond]])
        _check_known(np.unique(source[..., first:beyond]), labels.table)
    rows = [*things.rows, *_stuff_rows(ids, labels, stuff, last)]
    rows.sort(key=lambda row: (row.class_value, row.id))
    final = np.zeros(last + 1 + len(stuff), np.int32)
    final[[row.id for row in rows]] = np.arange(1, len(rows) + 1)
    for first, beyond in slabs(source.shape):
        result[..., first:beyond] = final[result[..., first:beyond]]
    return Instances(ids, labels.geometry, tuple(replace(row, id=int(final[row.id])) for row in rows), labels.table)


def _stuff_rows(ids: npt.NDArray[np.int32], labels: LabelMap, stuff: tuple[int, ...], last: int) -> list[InstanceRow]:
    values, regions = count_regions(ids)
    rows = regions.rows(labels.geometry, np.zeros(len(regions), bool))
    return [
        replace(row, id=value, class_value=stuff[value - last - 1])
        for value, row in zip(values.tolist(), rows, strict=True)
        if value > last
    ]


def _stuff(table: LabelTable) -> tuple[int, ...]:
    return tuple(item.value for item in table if not item.is_thing)


def _check_known(values: npt.NDArray[Any], table: LabelTable) -> None:
    known = {0, *(item.value for item in table)}
    if unknown := [value for value in values.tolist() if value not in known]:
        raise InputError(
            f"the label map holds the value {unknown[0]}, which its table does not have",
            fix="Give it a table with things or stuff for each class.",
        )
