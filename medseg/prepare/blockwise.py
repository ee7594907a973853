"""Normalizes and resamples a channel a few planes at a time, in several threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseg.prepare.intensity import finite
from medseg.prepare.resample import AXES, resample_axis
from medseg.prepare.route import Steps
from medseg.threads import side_by_side

# Voxels converted to float32 at a time in each thread: a few planes, small enough for the CPU's cache.
BLOCK = 1 << 20


def fill(
    target: npt.NDArray[np.float32],
    volume: npt.NDArray[Any],
    normalize: Callable[[npt.NDArray[np.float32], slice], npt.NDArray[np.float32]],
    order: Literal[1, 3],
    separate: int | None,
    steps: Steps,
) -> None:
    """Normalize and resample one channel of shape (Z, Y, X) into its place, a few planes at a time in each thread."""
    planes, rows, columns = target.shape
    step = max(1, BLOCK // (volume.shape[1] * volume.shape[2]))
    same = planes == volume.shape[0] and steps[0] in (None, 1.0)
    kept = target if same else np.empty((volume.shape[0], rows, columns), dtype=np.float32)
    across = tuple(axis for axis in (1, 2) if axis != separate)

    def fill_planes(first: int) -> tuple[Any, Any]:
        where = slice(first, min(first + step, volume.shape[0]))
        block = normalize(finite(volume[where]), where)
        bounds = [extreme(block, axis=across, keepdims=True) if order == 3 else None for extreme in (np.min, np.max)]
        block = resample_axis(block, -1, columns, 0 if separate == 2 else order, steps[2])
        kept[where] = resample_axis(block, -2, rows, 0 if separate == 1 else order, steps[1])
        return bounds[0], bounds[1]

    def fill_rows(first: int) -> None:
        part = slice(first, first + between)
        target[:, part] = resample_axis(kept[:, part], -3, planes, 0 if separate == 0 else order, steps[0])

    bounds = side_by_side(fill_planes, range(0, volume.shape[0], step))
    if kept is not target:
        between = max(1, BLOCK // (planes * columns))
        side_by_side(fill_rows, range(0, rows, between))
    if order == 3 and (target.shape != volume.shape or not set(steps) <= {None, 1.0}):
        low, high = (np.concatenate(every) for every in zip(*bounds, strict=True))
        if separate != 0:
            low, high = low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True)
        if separate is not None:
            low, high = (resample_axis(bound, AXES[separate], target.shape[separate], 0) for bound in (low, high))
        np.clip(target, low, high, out=target)
