"""Resampling as one small matrix per axis: exact, in float32, as fast as matrix products are.

Interpolation by linear and cubic B-splines is separable, so bringing an axis from n to m voxels is a product with one
(m, n) matrix. Values equal `skimage.transform.resize(mode="edge", anti_aliasing=False)`, which is
`scipy.ndimage.zoom(mode="nearest", grid_mode=True)` and what nnU-Net uses: voxels are boxes whose outer edges coincide
before and after (half-pixel centers), and beyond the edge the last voxel repeats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Order = Literal[0, 1, 3]
Float32 = npt.NDArray[np.float32]
Axis = Literal[-3, -2, -1]
AXES: tuple[Axis, Axis, Axis] = (-3, -2, -1)

# nnU-Net's limit: beyond this ratio of largest to smallest spacing, slices are too far apart to interpolate between.
ANISOTROPY = 3.0
# Relative size of what float32 headers and DICOM decimal strings add to a spacing; decisions must not hang on it.
NOISE = 1e-4
LARGEST_NOISE = 0.1  # voxels; else every odd size above 5,000 would be within noise of a half
# A cubic spline's coefficients forget the edge by a factor 0.27 a voxel: 12 voxels leave 1e-7, as in SciPy.
MARGIN = 12
# Rows of an operator multiplied at a time: few, so that their band is narrow, and products so small that the library
# does not deal them out to threads, which costs several times what they take.
ROWS = 8
# Weights below this are below float32's resolution of the sum they belong to.
NEGLIGIBLE = 1e-8


def resampled_size(size: int, spacing: float, target: float) -> int:
    """Voxels an axis has at the target spacing: ``round(size * spacing / target)``, at least 1.

    A half rounds to even, as nnU-Net rounds; a product within header noise of a half counts as a half, so that the
    same scan with spacings 1.0 and 1.0000001 mm gets the same grid.

    - `spacing`, `target`: mm, now and wanted.
    """
    exact = size * spacing / target
    half = math.floor(exact) + 0.5
    if abs(exact - half) < min(NOISE * max(1.0, exact), LARGEST_NOISE):
        exact = half
    return max(1, round(exact))


def separate_axis(current: Sequence[float], wanted: Sequence[float]) -> int | None:
    """Axis along which slices are too thick to interpolate between (nnU-Net's separate-z rule), or None.

    Either spacing may be the anisotropic one; the current one is asked first. There must be exactly one coarse axis.

    - `current`, `wanted`: spacing in mm before and after, three axes.
    """
    for spacing in (current, wanted):
        if max(spacing) / min(spacing) > ANISOTROPY * (1 + NOISE):
            coarse = [axis for axis, mm in enumerate(spacing) if mm > max(spacing) * (1 - NOISE)]
            return coarse[0] if len(coarse) == 1 else None
    return None


def aligned_size(size: int, spacing: float, target: float) -> int:
    """Voxels an axis has at the target spacing where the first voxels' centers coincide, as MONAI counts them."""
    return max(1, round((size - 1) * spacing / target + 1))


def centers(size: int, target: int, step: float | None = None) -> npt.NDArray[np.float64]:
    """Positions of the target's voxel centers in source voxels, shape (target,).

    - `step`: source voxels between target voxels, where the first voxels' centers coincide; without it, outer edges do.
    """
    if step is not None:
        return np.arange(target, dtype=np.float64) * step
    return (np.arange(target, dtype=np.float64) + 0.5) * (size / target) - 0.5


def nearest_index(size: int, target: int, step: float | None = None) -> npt.NDArray[np.intp]:
    """Index of the source voxel nearest to each target voxel, a half going up, shape (target,)."""
    return np.clip(np.floor(centers(size, target, step) + 0.5), 0, size - 1).astype(np.intp)


@lru_cache(maxsize=64)
def operator(size: int, target: int, order: Order, step: float | None = None) -> Float32:
    """Matrix that resamples one axis, float32 of shape (target, size).

    - `order`: nearest voxel, linear, or cubic B-spline (interpolating: the samples are met exactly).
    """
    if order == 0:
        matrix = np.zeros((target, size))
        matrix[np.arange(target), nearest_index(size, target, step)] = 1
    elif order == 1:
        position = np.clip(centers(size, target, step), 0, size - 1)
        below = np.floor(position).astype(np.intp)
        fraction = position - below
        matrix = np.zeros((target, size))
        rows = np.arange(target)
        np.add.at(matrix, (rows, below), 1 - fraction)
        np.add.at(matrix, (rows, np.minimum(below + 1, size - 1)), fraction)
    else:
        matrix = _cubic(size, target, step)
    result = matrix.astype(np.float32)
    result.setflags(write=False)
    return result


def _cubic(size: int, target: int, step: float | None) -> npt.NDArray[np.float64]:
    """Sample the cubic B-spline through the voxels (Unser, IEEE SPM 1999), edge voxels repeated."""
    padded = size + 2 * MARGIN
    # Coefficients c of the spline satisfy c[i-1]/6 + 4c[i]/6 + c[i+1]/6 = f[i]; mirrored at the far end of the margin.
    to_values = np.diag(np.full(padded, 4 / 6)) + np.diag(np.full(padded - 1, 1 / 6), 1)
    to_values += np.diag(np.full(padded - 1, 1 / 6), -1)
    to_values[0, 1] = to_values[-1, -2] = 2 / 6
    repeat_edge = np.zeros((padded, size))
    repeat_edge[np.arange(padded), np.clip(np.arange(padded) - MARGIN, 0, size - 1)] = 1
    coefficients = np.linalg.solve(to_values, repeat_edge)
    position = np.clip(centers(size, target, step), -0.5, size - 0.5) + MARGIN
    first = np.floor(position).astype(np.intp) - 1
    matrix = np.zeros((target, size))
    for tap in range(4):
        distance = np.abs(position - first - tap)
        weight = np.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6)
        matrix += weight[:, None] * coefficients[first + tap]
    return matrix


def resample_axis(array: Float32, axis: Axis, size: int, order: Order, step: float | None = None) -> Float32:
    """Resample one of the last three axes; returns the array itself where its size is already right.

    - `array`, shape (..., A, B, C): C-contiguous for speed; any strides are right.
    """
    now = array.shape[axis]
    if now == size and step in (None, 1.0):
        return array
    if order == 0:
        return np.take(array, nearest_index(now, size, step), axis=axis)
    matrix = operator(now, size, order, step)
    result = np.empty((*array.shape[:axis], size, *array.shape[array.ndim + axis + 1 :]), dtype=np.float32)
    if axis == -3:  # a product for each row of the next axis
        _multiply(matrix, array.swapaxes(-3, -2), -2, result.swapaxes(-3, -2))
    else:
        _multiply(matrix, array, axis, result)
    return result


def _multiply(matrix: Float32, array: Float32, axis: Literal[-2, -1], result: Float32) -> None:
    """Apply an operator to one of the last two axes, a few of its rows at a time."""
    for first in range(0, len(matrix), ROWS):
        block = matrix[first : first + ROWS]
        used = np.flatnonzero(np.abs(block).max(axis=0) > NEGLIGIBLE)
        low, high = int(used[0]), int(used[-1]) + 1
        if axis == -2:
            np.matmul(block[:, low:high], array[..., low:high, :], out=result[..., first : first + ROWS, :])
        else:
            np.matmul(array[..., low:high], block[:, low:high].T, out=result[..., first : first + ROWS])


def resample(
    array: Float32,
    shape: Sequence[int],
    order: Order,
    separate: int | None = None,
    steps: Sequence[float | None] = (None, None, None),
) -> Float32:
    """Resample the last three axes of an array.

    - `order`: interpolation. Cubic results are clipped to the range of the input (of each slice, with `separate`), as
      scikit-image and nnU-Net do: a spline through a sharp edge would else overshoot.
    - `separate`: the one of the three axes whose slices are not interpolated between: the nearest slice is taken.
    """
    slices = tuple(a - 3 for a in range(3) if a != separate)
    bounds = [f(array, axis=slices, keepdims=True) for f in (np.min, np.max)] if order == 3 else []
    result = array
    # The axis that shrinks most goes first: everything after it is smaller.
    for axis in sorted(range(3), key=lambda a: shape[a] / array.shape[a - 3]):
        result = resample_axis(result, AXES[axis], shape[axis], 0 if axis == separate else order, steps[axis])
    if order == 3 and result is not array:
        low, high = (b if separate is None else resample_axis(b, AXES[separate], shape[separate], 0) for b in bounds)
        result = np.clip(result, low, high, out=result)
    return result
