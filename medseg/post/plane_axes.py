"""Where the longest diameter of an object within one slice lies, beside how long it and the one across it are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from medseg.post.in_plane_axes import in_plane_axes
from medseg.types.follow_up import PlaneAxes, Voxel

Points = npt.NDArray[np.float64]


def plane_axes(mask: npt.NDArray[np.bool_], matrix: npt.NDArray[np.float64], across: int) -> PlaneAxes:
    """Long and short axis of an object as `in_plane_axes` measures them, with slice and ends of the long one.

    Parameters as there. Of equally long slices the first counts.
    """
    along = [other for other in range(3) if other != across]
    steps = np.linalg.qr(matrix[:, along])[1]  # of the slice's two axes in a plane of their own: lengths are kept
    longest, place, ends = 0.0, 0, np.zeros((2, 2))
    for index in np.flatnonzero(mask.any(axis=tuple(along))).tolist():
        corners = _corners(np.moveaxis(mask, across, 0)[index])
        hull = corners[ConvexHull(corners).vertices]
        world = hull @ steps.T
        lengths = np.linalg.norm(world[:, None] - world[None], axis=-1)
        if lengths.max() > longest + 1e-9:
            longest, place = float(lengths.max()), index
            ends = hull[list(np.unravel_index(int(lengths.argmax()), lengths.shape))]
    first, last = (_voxel(np.insert(end, across, place)) for end in ends)
    return PlaneAxes(*in_plane_axes(mask, matrix, across), (across, place), (first, last))


def _voxel(place: Points) -> Voxel:
    x, y, z = place.tolist()
    return x, y, z


def _corners(plane: npt.NDArray[np.bool_]) -> Points:
    """Corners of the first and the last pixel of each row, in pixels."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1)
    last = plane.shape[1] - 1 - plane[rows, ::-1].argmax(axis=1)
    return np.concatenate(
        [np.column_stack([rows + a, end + b]) for a in (-0.5, 0.5) for end, b in ((first, -0.5), (last, 0.5))]
    )
