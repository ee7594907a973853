"""Samples an array at the voxels of another grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform

Matrix = npt.NDArray[np.floating[Any]]
Array = npt.NDArray[Any]


def sampled(array: Array, matrix: Matrix, shape: Sequence[int], *, order: Literal[0, 1]) -> Array:
    """Sample an array at voxels of another grid.

    - `matrix`, shape (4, 4): from a voxel of the result to its place in the array.
    - `order`: 0 takes the nearest voxel, and 0 outside; 1 interpolates, and repeats the outermost voxels outside.

    >>> sampled(np.arange(3.0)[:, None, None], np.diag([0.5, 1, 1, 1]), (5, 1, 1), order=1).ravel()
    array([0. , 0.5, 1. , 1.5, 2. ])
    """
    linear, offset = matrix[:3, :3], matrix[:3, 3]
    diagonal = np.diag(linear)
    if np.allclose(linear, np.diag(diagonal), atol=1e-6):
        # Axis by axis: some ten times faster than the general case, and what nearly every scan takes.
        places = [scale * np.arange(n) + start for scale, start, n in zip(diagonal, offset, shape, strict=True)]
        return _nearest(array, places) if order == 0 else _linear(array, places)
    mode: Literal["constant", "nearest"] = "constant" if order == 0 else "nearest"
    result: Array = affine_transform(array, linear, offset=offset, output_shape=tuple(shape), order=order, mode=mode)
    return result


def _nearest(array: Array, places: Sequence[Array]) -> Array:
    index = [np.floor(place + 0.5).astype(np.int64) for place in places]
    inside = [(at >= 0) & (at < size) for at, size in zip(index, array.shape, strict=True)]
    result = np.zeros([len(at) for at in index], array.dtype)
    kept = [at[known] for at, known in zip(index, inside, strict=True)]
    result[np.ix_(*(np.flatnonzero(known) for known in inside))] = array[np.ix_(*kept)]
    return result


def _linear(array: Array, places: Sequence[Array]) -> Array:
    for axis, place in enumerate(places):
        at = np.clip(place, 0, array.shape[axis] - 1)
        low = np.minimum(np.floor(at).astype(np.int64), max(array.shape[axis] - 2, 0))
        high = np.minimum(low + 1, array.shape[axis] - 1)
        weight = (at - low).astype(array.dtype).reshape([-1 if k == axis else 1 for k in range(3)])
        array = np.take(array, low, axis) * (1 - weight) + np.take(array, high, axis) * weight
    return array
