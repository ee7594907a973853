"""The longest diameter of an object within one slice, and the longest one perpendicular to it: what RECIST asks for."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull

from medseg.post.connectivity import flat_axis
from medseg.types import Geometry

Floats = npt.NDArray[np.float64]

# The slices of a scan lie along an axis whose voxels are so much longer than the others.
THICK = 1.1
# Lengths that differ by less are equal; of equal long axes the one with the longest short axis counts.
SAME = 1e-9
MOST_EQUAL = 64


def slice_axis(geometry: Geometry) -> int:
    """Array axis across the slices that a radiologist measures in.

    That of the one voxel of a 2D image; the one along which voxels are clearly longest, as a scanner's slices lie; else
    that nearest to the patient's feet-to-head direction, so that slices are axial.

    >>> slice_axis(Geometry(np.diag([5.0, 1, 1, 1]), (20, 99, 99)))
    0
    """
    flat = flat_axis(geometry.shape)
    if flat is not None:
        return flat
    lengths = np.asarray(geometry.spacing)
    longest = int(lengths.argmax())
    if lengths[longest] > THICK * np.delete(lengths, longest).max():
        return longest
    return int((np.abs(geometry.affine[2, :3]) / lengths).argmax())


def in_plane_axes(mask: npt.NDArray[np.bool_], matrix: Floats, across: int) -> tuple[float, float]:
    """Long and short axis in mm of an object whose voxels are solid boxes, both in the same slice.

    The long axis is the largest distance between two points of the object in one slice, over all slices; the short
    axis the largest between two points of that slice on a line perpendicular to it (RECIST 1.1, Eisenhauer et al.,
    European Journal of Cancer 45, 228, 2009).

    - `mask`, shape (X, Y, Z): true inside the object; at least one voxel.
    - `matrix`, shape (3, 3): column i is the step in mm of array axis i: the upper left of the affine.
    - `across`: the array axis across the slices, see `slice_axis`.
    """
    slices = np.moveaxis(mask, across, 0)
    # Any two vectors of a plane in two coordinates: an orthogonal basis changes neither length nor angle.
    steps = np.linalg.qr(np.delete(matrix, across, axis=1))[1]
    longest, found = 0.0, list[tuple[int, Floats]]()
    bounds = _bounds(slices, steps)
    for k in np.argsort(-bounds, kind="stable"):
        if not bounds[k] or bounds[k] < longest * (1 - SAME):
            break
        length, directions = _diameters(slices[k], steps)
        if length > longest * (1 + SAME):
            longest, found = length, []
        if length >= longest * (1 - SAME):
            found += [(int(k), direction) for direction in directions]
    return longest, max(_perpendicular(slices[k], steps, direction) for k, direction in found[:MOST_EQUAL])


def _bounds(slices: npt.NDArray[np.bool_], steps: Floats) -> Floats:
    """Diagonal in mm of each slice's bounding box, 0 where it is empty: no diameter in it is longer."""
    sizes: list[npt.NDArray[np.intp]] = []
    for axis in (2, 1):  # what is left is one array axis of the slice
        filled = np.asarray(slices.any(axis=axis))
        first, last = filled.argmax(axis=1), filled.shape[1] - filled[:, ::-1].argmax(axis=1)
        sizes.append(np.where(filled.any(axis=1), last - first, 0))
    i, j = (size[:, None] * step for size, step in zip(sizes, steps.T, strict=True))
    return np.asarray(np.maximum(np.linalg.norm(i + j, axis=1), np.linalg.norm(i - j, axis=1)))


def _diameters(mask: npt.NDArray[np.bool_], steps: Floats) -> tuple[float, list[Floats]]:
    """Largest distance between two points of a slice, and the direction of each pair that far apart."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask[rows].argmax(axis=1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([rows, first]), np.column_stack([rows, last])])
    corners = (ends[:, None] + np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]])).reshape(-1, 2)
    points = corners @ steps.T
    points = points[ConvexHull(points).vertices]
    between = points[:, None] - points
    lengths = np.sqrt((between**2).sum(axis=-1))
    length = float(lengths.max())
    pairs = np.argwhere(np.triu(lengths >= length * (1 - SAME)))
    return length, [between[a, b] / lengths[a, b] for a, b in pairs]


def _perpendicular(mask: npt.NDArray[np.bool_], steps: Floats, direction: Floats) -> float:
    """Largest distance between two points of a slice on a line perpendicular to a unit direction.

    Lines are looked at strip by strip, the strips with the outermost voxels first, until no other can hold a longer
    distance.
    """
    turned = np.array([direction, [-direction[1], direction[0]]]) @ steps
    centers = _edge_voxels(mask) @ turned.T
    centers = centers[np.argsort(centers[:, 0], kind="stable")]
    # Half the sides of a voxel, both pointing along the direction, the one that reaches further along it last.
    half = turned[:, np.argsort(np.abs(turned[0]), kind="stable")] / 2
    half = half * np.where(half[0] >= 0, 1, -1)
    reach, height = float(half[0].sum()), float(np.abs(half[1]).sum())
    width = 2 * reach
    origin = centers[0, 0] - reach
    strips = np.arange(int((centers[-1, 0] + reach - origin) / width) + 1)
    begin = np.searchsorted(centers[:, 0], origin + width * strips - reach - SAME)
    stop = np.searchsorted(centers[:, 0], origin + width * (strips + 1) + reach + SAME)
    bounds = np.zeros(len(strips))
    for n in strips[stop > begin]:
        inside = centers[begin[n] : stop[n], 1]
        bounds[n] = inside.max() - inside.min() + 2 * height
    widest = 0.0
    for n in np.argsort(-bounds, kind="stable"):
        if bounds[n] <= widest:
            break
        lines = (origin + width * n - SAME, origin + width * (n + 1) + SAME)
        widest = max(widest, _widest(centers[begin[n] : stop[n]], half, lines))
    return widest


def _widest(centers: Floats, half: Floats, lines: tuple[float, float]) -> float:
    """Largest distance between two points of some voxels on a line of a strip.

    Along lines placed at t the outermost points of a voxel are linear in t between its corners, so that the largest
    distance is at a corner of some voxel.
    """
    (a, b), (ap, bp) = half
    places = (centers[:, :1] + [-a - b, b - a, a - b, a + b]).ravel()
    places = np.unique(places[(places >= lines[0]) & (places <= lines[1])])
    along = places[:, None] - centers[:, 0]
    missed = np.abs(along) > a + b + SAME
    along = np.clip(along, -a - b, a + b)
    # A point is alpha times one half side and beta times the other; where it lies along fixes beta by alpha.
    low, high = (np.maximum(-1, (along - b) / a), np.minimum(1, (along + b) / a)) if a > SAME else (-1.0, 1.0)
    ends = [centers[:, 1] + (along * bp + alpha * (ap * b - a * bp)) / b for alpha in (low, high)]
    top = np.where(missed, -np.inf, np.maximum(*ends)).max(axis=1)
    bottom = np.where(missed, np.inf, np.minimum(*ends)).min(axis=1)
    return float((top - bottom).max(initial=0))


def _edge_voxels(mask: npt.NDArray[np.bool_]) -> Floats:
    """Indices of the voxels of a slice that do not have all four neighbors, shape (n, 2)."""
    padded = np.pad(mask, 1)
    inside = padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return np.argwhere(mask & ~inside).astype(np.float64)
