"""The longest diameter of an object, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

# Above this many candidates a convex hull is cheaper than all pairs.
PAIRS_UP_TO = 400


def longest_diameter(mask: npt.NDArray[np.bool_], matrix: npt.NDArray[np.float64], flat: int | None = None) -> float:
    """Largest distance in mm between two points of an object whose voxels are solid boxes.

    A box of n voxels along each axis measures its full space diagonal, one voxel its own.

    - `mask`, shape (X, Y, Z): true inside the object; at least one voxel.
    - `matrix`, shape (3, 3): column i is the step in mm of array axis i: the upper left of the affine.
    - `flat`: the axis a 2D image has no depth along: its voxels count as rectangles, the diameter lies in its plane.

    Notes
    -----
    Only the two ends of each row of voxels can be farthest apart. Of those, a point that lies nearer to the middle
    than the diameter found so far minus the largest distance from the middle cannot be an end of a longer one.
    """
    points = _row_ends(mask)
    corners = _corners(np.arange(3) != flat) @ matrix.T
    centered = (points - (points.min(axis=0) + points.max(axis=0)) / 2) @ matrix.T
    reach = _farthest(centered, corners / 2)
    known, place = 0.0, int(reach.argmax())
    for _ in range(2):  # there and back: as a rule this finds the diameter already
        distances = _farthest(centered - centered[place], corners)
        known, place = max(known, float(distances.max())), int(distances.argmax())
    ends = centered[reach >= known - reach.max() - 1e-9 * known]
    if len(ends) > PAIRS_UP_TO:
        ends = _hull(ends)
    longest = max(float(_farthest(ends[place:] - point, corners).max()) for place, point in enumerate(ends))
    return max(known, longest)


def _row_ends(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Voxels that are the first or last of their row along every axis, shape (points, 3)."""
    axis = int(np.argmax(mask.shape))
    rows = np.moveaxis(mask, axis, -1)
    filled = np.argwhere(rows.any(axis=-1))
    inside = rows[filled[:, 0], filled[:, 1]]
    first = inside.argmax(axis=1)
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    points = np.concatenate([np.column_stack([filled, first]), np.column_stack([filled, last])])
    for along in (0, 1):
        points = _ends_along(points, along)
    return np.asarray(np.insert(points[:, :2], axis, points[:, 2], axis=1), dtype=np.float64)


def _ends_along(points: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    """Of the points that share the other two coordinates, the first and the last along an axis."""
    others = [other for other in range(3) if other != axis]
    order = np.lexsort((points[:, axis], points[:, others[0]], points[:, others[1]]))
    points = points[order]
    fresh = np.ones(len(points) + 1, bool)
    fresh[1:-1] = (points[1:, others] != points[:-1, others]).any(axis=1)
    return points[fresh[:-1] | fresh[1:]]


def _corners(thick: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The eight steps from a voxel's center past a corner to the next voxel's, shape (8, 3), in voxels."""
    signs = np.stack(np.meshgrid(*[(-1.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.unique(signs * thick, axis=0)


def _farthest(steps: npt.NDArray[np.float64], corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Length in mm of each step after the one of the corners that makes it longest is added, shape (steps,)."""
    gain = (2 * steps @ corners.T + (corners**2).sum(axis=1)).max(axis=1)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", steps, steps) + gain))


def _hull(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The points that span the convex hull; all of them where they lie in a plane."""
    try:
        return points[ConvexHull(points).vertices]
    except QhullError:
        return points
