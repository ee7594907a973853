"""Labels on the network's grid: references, and what the low-resolution stage of a cascade found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.prepare.resample import nearest_index, resample
from medseg.prepare.route import Route
from medseg.types import LabelMap
from medseg.types.labels import smallest_label_dtype

# Fractions of a voxel that differ by less are equal but for the rounding of float32.
EQUAL = 1e-5


@dataclass(frozen=True, eq=False)
class LowResolutionStage:
    """Labels a second stage of a cascade is shown beside the scan.

    - `values`: one channel each: 1 where the labels have this value.
    """

    labels: LabelMap
    values: tuple[int, ...]


def prepare_labels(labels: LabelMap, route: Route) -> npt.NDArray[Any]:
    """Bring a reference onto the grid a scan was prepared on: the class with most of each voxel, linearly weighed.

    - returns, shape (X, Y, Z): 0 in the padding.
    """
    route.source.match(labels.geometry, what="scan and reference")
    boxed = route.order.apply(labels.array)[route.box.slices].transpose(2, 1, 0)
    shape = route.size[::-1]
    separate = None if route.separate is None else 2 - route.separate
    inner = np.zeros(shape, dtype=smallest_label_dtype(int(boxed.max(initial=0))))
    steps = route.steps[::-1]
    if boxed.shape == shape and set(steps) <= {None, 1.0}:
        inner[...] = boxed
    else:
        best = np.full(shape, -1, dtype=np.float32)
        for value in np.unique(boxed):
            fraction = resample(np.ascontiguousarray(boxed == value, dtype=np.float32), shape, 1, separate, steps)
            inner[fraction > best] = value
            np.maximum(best, fraction, out=best)
    result = np.zeros(route.padded_size[::-1], dtype=inner.dtype)
    result[route.inner[::-1]] = inner
    return result.transpose(2, 1, 0)


def fill_low_resolution_stage(
    targets: npt.NDArray[np.float32],
    low_resolution_stage: LowResolutionStage,
    route: Route,
    separate: int | None,
    outside: npt.NDArray[np.bool_] | None,
) -> None:
    """Bring low-resolution labels onto the network's grid, each a channel that is 1 where it fills most of a voxel.

    As nnU-Net 2.8: of equal fractions that of the nearest voxel counts; background outside the scan's nonzero part, if
    given, and inside it are two classes.
    """
    route.source.match(low_resolution_stage.labels.geometry, what="scan and low-resolution stage")
    boxed = route.order.apply(low_resolution_stage.labels.array)[route.box.slices].transpose(2, 1, 0)
    # Class 0 is outside, 1 the background inside, then those wanted; labels not wanted count as background.
    classes = np.ones(boxed.shape, dtype=np.int16)
    if outside is not None:
        classes[outside] = 0
    for number, value in enumerate(low_resolution_stage.values):
        classes[boxed == value] = number + 2
    steps, shape = route.steps[::-1], targets.shape[1:]
    nearest = classes
    for axis, (size, step) in enumerate(zip(shape, steps, strict=True)):
        nearest = np.take(nearest, nearest_index(classes.shape[axis], size, step), axis=axis)
    best, of_nearest = (np.full(shape, -1, dtype=np.float32) for _ in range(2))
    winner = np.zeros(shape, dtype=np.int16)
    for number in np.unique(classes):
        fraction = resample(np.ascontiguousarray(classes == number, dtype=np.float32), shape, 1, separate, steps)
        np.copyto(winner, number, where=fraction > best + EQUAL)
        np.copyto(of_nearest, fraction, where=nearest == number)
        np.maximum(best, fraction, out=best)
    np.copyto(winner, nearest, where=of_nearest >= best - EQUAL)
    for number, target in enumerate(targets):
        np.equal(winner, number + 2, out=target, casting="unsafe")
