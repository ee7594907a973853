"""Puts labels onto another grid where their voxels coincide: axes in another order, a slab, a crop; never resampled."""

from __future__ import annotations

from collections import Counter

import numpy as np

from medseg.errors import GeometryMismatch
from medseg.types import Geometry, LabelMap

# How far voxels may lie from their twins, as a fraction of the finest spacing: what DICOM headers lose by rounding
# positions, and far less than any real misplacement of grids that coincide otherwise.
SLACK = 0.05


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
    fix = "Give the scan the labels were made on, or resample them knowingly."
    to_new = np.linalg.inv(geometry.affine) @ labels.geometry.affine
    turn, shift = np.rint(to_new[:3, :3]).astype(int), np.rint(to_new[:3, 3]).astype(int)
    is_turn = np.array_equal(np.abs(turn).sum(axis=0), (1, 1, 1)) and np.array_equal(
        np.abs(turn).sum(axis=1), (1, 1, 1)
    )
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = turn, shift
    moved_grid = Geometry(geometry.affine @ moved, labels.geometry.shape) if is_turn else None
    if moved_grid is None or moved_grid.difference(labels.geometry) > SLACK * min(geometry.spacing):
        how = "their voxels lie between the scan's" if is_turn else "their voxels differ in size or direction"
        raise GeometryMismatch(f"the labels are not on the scan's grid: {how}", where=where, fix=fix)
    corners = np.array([np.zeros(3, int), np.array(labels.geometry.shape) - 1]) @ turn.T + shift
    first, last, end = corners.min(axis=0), corners.max(axis=0), np.array(geometry.shape) - 1
    # Labels that reach further than the grid somewhere must not be shorter than it elsewhere.
    if ((first < 0) | (last > end)).any() and ((first > 0) | (last < end)).any():
        shapes = f"{labels.geometry.shape} and {geometry.shape}"
        raise GeometryMismatch(f"neither grid holds the other (shapes {shapes})", where=where, fix=fix)
    indices = np.argwhere(labels.array)
    target = indices @ turn.T + shift
    if len(target) and ((target < 0).any() or (target >= geometry.shape).any()):
        raise GeometryMismatch("some labels lie outside the scan", where=where, fix=fix)
    array = np.zeros(geometry.shape, labels.array.dtype)
    array[tuple(target.T)] = labels.array[tuple(indices.T)]
    return LabelMap(array, geometry, labels.table)
