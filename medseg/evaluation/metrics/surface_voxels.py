"""Finds the border voxels of every class of a label map in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.overlap import slabs

Borders = Mapping[int, npt.NDArray[np.int64]]


def border_voxels(labels: npt.NDArray[Any], lookup: npt.NDArray[Any] | None = None) -> Borders:
    """Border voxels of every class: ascending indices into the flattened array (C order); absent classes have none.

    A voxel is on the border of its class when one of its face neighbors is of another class, or lies outside the
    image, which counts as background. An axis of a single voxel is not a dimension of the image: along it there are
    no neighbors to miss, so that the border of a 2D image is its outline and not all of it. `lookup` maps each value of
    `labels` to the class to use in its place, for instance to merge classes.
    """
    found: list[npt.NDArray[np.int64]] = []
    classes: list[npt.NDArray[Any]] = []
    plane = labels[0].size if labels.size else 0
    for slab in slabs(labels):
        first, last = max(slab.start - 1, 0), min(slab.stop + 1, labels.shape[0])
        around = np.ascontiguousarray(labels[first:last])
        if not around.any():
            continue
        if lookup is not None:
            around = lookup[around]
        values = around[slab.start - first : slab.stop - first]
        border = _differs_from_neighbors(around, values, slab, labels.shape)
        border &= values != 0
        indices = np.flatnonzero(border)
        found.append(indices + slab.start * plane)
        classes.append(values.ravel()[indices])
    if not any(map(len, found)):
        return {}
    return _by_class(np.concatenate(found), np.concatenate(classes))


def _differs_from_neighbors(
    around: npt.NDArray[Any], values: npt.NDArray[Any], slab: slice, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Which voxels of a slab have a face neighbor of another value; `around` is the slab with a plane either side."""
    real = [axis for axis, length in enumerate(shape) if length > 1]
    if not real:
        return np.ones(values.shape, bool)
    border = np.zeros(values.shape, bool)
    if 0 in real:
        steps = around[1:] != around[:-1]
        if slab.start == 0:
            border[0] = True
            border[1:] |= steps[: len(values) - 1]
        else:
            border |= steps[: len(values)]
        if slab.stop == shape[0]:
            border[-1] = True
            border[:-1] |= steps[len(steps) - len(values) + 1 :]
        else:
            border |= steps[len(steps) - len(values) :]
    for axis in real:
        if axis == 0:
            continue
        low: list[slice] = [slice(None)] * values.ndim
        high = list(low)
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        steps = values[tuple(high)] != values[tuple(low)]
        border[tuple(high)] |= steps
        border[tuple(low)] |= steps
        low[axis], high[axis] = slice(0, 1), slice(-1, None)
        border[tuple(low)] = True
        border[tuple(high)] = True
    return border


def _by_class(indices: npt.NDArray[np.int64], classes: npt.NDArray[Any]) -> Borders:
    # A stable sort keeps indices ascending within a class; on 8 and 16 bits numpy's is a radix sort.
    order = np.argsort(classes, kind="stable")
    indices, classes = indices[order], classes[order]
    starts = np.flatnonzero(np.r_[True, classes[1:] != classes[:-1]])
    groups = np.split(indices, starts[1:])
    return {int(classes[start]): group for start, group in zip(starts, groups, strict=True)}
