"""Puts labels onto another grid where their voxels coincide: axes in another order, a slab, a crop; never resampled."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryMismatch
from medseg.types import Geometry, LabelMap

# How far voxels may lie from their twins, as a fraction of the finest spacing: what DICOM headers lose by rounding
# positions, and far less than any real misplacement of grids that coincide otherwise.
SLACK = 0.05
FIX = "Give the scan the labels were made on, or resample them knowingly."


def coincides(part: Geometry, whole: Geometry) -> bool:
    """Whether labels on one grid can be put onto the other by `regrid`, as far as the grids say."""
    try:
        _place(part, whole, None)
    except GeometryMismatch:
        return False
    return True


def reaches_beyond(part: Geometry, whole: Geometry) -> bool:
    """Whether a grid whose voxels coincide with another's has some outside it.

    Raises
    ------
    GeometryMismatch
        When their voxels do not coincide.
    """
    first, last = _ends(*_place(part, whole, None), part.shape)
    return bool(((first < 0) | (last >= whole.shape)).any())


def covers_slab(part: Geometry, whole: Geometry) -> bool:
    """Whether a grid has the other's size, but for slices that it may lack along one axis, as a DICOM SEG does."""
    # Axes may be permuted, so that sizes are compared in any order.
    own, missing = Counter(part.shape) - Counter(whole.shape), Counter(whole.shape) - Counter(part.shape)
    return own.total() <= 1 and sum(own.elements()) <= sum(missing.elements())


def regrid(labels: LabelMap, geometry: Geometry, *, where: object = None) -> LabelMap:
    """Return the same labeled voxels on another grid.

    Axes may be permuted and reversed, and one of the grids may be a part of the other, such as the slab that a DICOM
    SEG holds; every label must find a voxel of the new grid at its own place. Grids of which neither holds the other
    are those of two scans.

    - returns: on `geometry`; background where the labels did not reach.
    """
    if labels.geometry.matches(geometry):
        return LabelMap(labels.array, geometry, labels.table)
    turn, shift = _place(labels.geometry, geometry, where)
    indices = np.argwhere(labels.array)
    target = indices @ turn.T + shift
    if len(target) and ((target < 0).any() or (target >= geometry.shape).any()):
        raise GeometryMismatch("some labels lie outside the scan", where=where, fix=FIX)
    array = np.zeros(geometry.shape, labels.array.dtype)
    array[tuple(target.T)] = labels.array[tuple(indices.T)]
    return LabelMap(array, geometry, labels.table)


def _place(part: Geometry, whole: Geometry, where: object) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """How indices of one grid become those of the other: a turn, shape (3, 3), and a shift, shape (3,).

    A `GeometryMismatch` where voxels do not coincide, or neither grid holds the other.
    """
    to_new = np.linalg.inv(whole.affine) @ part.affine
    turn, shift = np.rint(to_new[:3, :3]).astype(int), np.rint(to_new[:3, 3]).astype(int)
    is_turn = np.array_equal(np.abs(turn).sum(axis=0), (1, 1, 1)) and np.array_equal(
        np.abs(turn).sum(axis=1), (1, 1, 1)
    )
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = turn, shift
    moved_grid = Geometry(whole.affine @ moved, part.shape) if is_turn else None
    if moved_grid is None or moved_grid.difference(part) > SLACK * min(whole.spacing):
        how = "their voxels lie between the scan's" if is_turn else "their voxels differ in size or direction"
        raise GeometryMismatch(f"the labels are not on the scan's grid: {how}", where=where, fix=FIX)
    first, last = _ends(turn, shift, part.shape)
    end = np.array(whole.shape) - 1
    # Labels that reach further than the grid somewhere must not be shorter than it elsewhere.
    if ((first < 0) | (last > end)).any() and ((first > 0) | (last < end)).any():
        shapes = f"{part.shape} and {whole.shape}"
        raise GeometryMismatch(f"neither grid holds the other (shapes {shapes})", where=where, fix=FIX)
    return turn, shift


def _ends(
    turn: npt.NDArray[np.int_], shift: npt.NDArray[np.int_], shape: tuple[int, int, int]
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """First and last indices, shape (3,), of a grid on another, by what `_place` gives."""
    corners = np.array([np.zeros(3, int), np.array(shape) - 1]) @ turn.T + shift
    return corners.min(axis=0), corners.max(axis=0)
