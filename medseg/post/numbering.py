"""Gives objects their final ids after they were split, merged or assigned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.post.regions import count_regions
from medseg.post.runs import slabs, slowest_last
from medseg.types import Geometry, Instances, LabelTable


def number_objects(
    ids: npt.NDArray[np.int32], geometry: Geometry, classes: Mapping[int, int], table: LabelTable
) -> Instances:
    """Number objects 1 to N in the usual order, in place, and return them with size and place.

    - `ids`, shape (X, Y, Z): provisional ids, in any order and with any gaps; 0 is background. Overwritten.
    - `classes`: the class of each provisional id; ids without one become background.
    """
    values, regions = count_regions(ids)
    regions = replace(regions, class_values=np.array([classes.get(value, 0) for value in values.tolist()], np.int64))
    order = regions.order(geometry)
    order = order[regions.class_values[order] > 0]
    final = np.zeros(len(values), np.int32)
    final[order] = np.arange(1, len(order) + 1)
    renumber(ids, values, final)
    return Instances(ids, geometry, regions.take(order).rows(geometry, np.ones(len(order), bool)), table)


def renumber(ids: npt.NDArray[np.int32], values: npt.NDArray[Any], final: npt.NDArray[np.int32]) -> None:
    """Replace each id by another, in place, slab by slab.

    - `values`, shape (N,): every id there is, ascending.
    - `final`, shape (N,): what each becomes.
    """
    if np.array_equal(values, final):
        return
    view = ids.transpose(slowest_last(ids))
    for first, last in slabs(view.shape):
        block = view[..., first:last]
        filled = block != 0
        block[filled] = final[np.searchsorted(values, block[filled])]
