"""Exact distances in mm from each voxel of a set to the nearest voxel of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

# Voxels looked at around a query before a tree is asked. Segmentations worth measuring differ by a voxel or two almost
# everywhere, where looking is an order of magnitude faster than asking; the last of these rarely hit.
NEIGHBORS = 150

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """How far a step along each array axis goes."""

    matrix: tuple[tuple[float, ...], ...]  # (3, 3): columns are the steps in mm; diagonal for right angles

    @classmethod
    def between_voxels(cls, affine: npt.ArrayLike | None = None, spacing: Sequence[float] | None = None) -> Steps:
        """Take the steps of an affine, or of a spacing in mm for axes at right angles.

        The rotation of an affine does not change a distance and is skipped, so that distances along an axis are exact
        multiples of the spacing; the shear of a tilted gantry does and is kept.
        """
        if spacing is not None:
            matrix = np.diag(np.asarray(spacing, dtype=np.float64))
        else:
            axes = np.asarray(affine, dtype=np.float64)[:3, :3]
            lengths = np.linalg.norm(axes, axis=0)
            directions = axes / lengths
            right_angles = np.abs(directions.T @ directions - np.eye(3)).max() <= 1e-3
            matrix = np.diag(lengths) if right_angles else axes
        return cls(tuple(tuple(float(value) for value in row) for row in matrix))

    def length(self, offsets: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Length in mm of voxel offsets, shape (n, 3)."""
        lengths: npt.NDArray[np.float64] = np.sqrt(np.square(self.to_mm(offsets)).sum(axis=-1))
        return lengths

    def to_mm(self, offsets: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Voxel offsets, shape (n, 3), as vectors in mm."""
        matrix = np.asarray(self.matrix)
        if np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0:
            return offsets * np.diag(matrix)
        vectors: npt.NDArray[np.float64] = offsets @ matrix.T
        return vectors


@dataclass(frozen=True, eq=False)
class Ball:
    """Every voxel offset within a radius, nearest first."""

    offsets: Indices  # shape (k, 3)
    distances: npt.NDArray[np.float64]  # mm, ascending

    @property
    def reach(self) -> tuple[int, int, int]:
        """Furthest offset along each axis."""
        x, y, z = np.abs(self.offsets).max(axis=0)
        return int(x), int(y), int(z)


@lru_cache(maxsize=32)
def ball(steps: Steps, radius: float, flat: tuple[bool, bool, bool] = (False, False, False)) -> Ball:
    """Voxel offsets no further than `radius` mm, without those along axes that are flat (a single voxel long)."""
    inverse = np.linalg.inv(np.asarray(steps.matrix))
    reach = [
        0 if still else int(np.floor(radius * np.linalg.norm(row) * (1 + 1e-9)))
        for row, still in zip(inverse, flat, strict=True)
    ]
    grid = np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij")
    offsets = np.stack(grid, axis=-1).reshape(-1, 3)
    distances = steps.length(offsets)
    inside = np.flatnonzero(distances <= radius)
    order = inside[np.argsort(distances[inside], kind="stable")]
    return Ball(offsets[order], distances[order])


def near(steps: Steps, flat: tuple[bool, bool, bool]) -> Ball:
    """Return the ball of about `NEIGHBORS` voxels."""
    sizes = np.abs(np.linalg.det(np.asarray(steps.matrix))) * NEIGHBORS
    lengths = np.linalg.norm(np.asarray(steps.matrix), axis=0)
    dimensions = 3 - sum(flat)
    if dimensions == 3:
        radius = np.cbrt(sizes * 3 / (4 * np.pi))
    else:
        area = np.prod([n for n, still in zip(lengths, flat, strict=True) if not still])
        radius = np.sqrt(area * NEIGHBORS / np.pi) if dimensions == 2 else area * NEIGHBORS / 2
    return ball(steps, float(radius), flat)


class Canvas:
    """A crop with a margin on which voxel sets are painted, one bit each, to be looked up by neighbors.

    `sets` are indices into the flattened image of `shape`, of every set that will be painted or looked up from;
    `margin` is so many voxels that a neighbor of any voxel of a set is on the canvas.
    """

    def __init__(self, sets: Sequence[Indices], shape: tuple[int, int, int], margin: tuple[int, int, int]) -> None:
        coordinates = [np.unravel_index(indices, shape) for indices in sets if len(indices)]
        low = [min(int(axes[i].min()) for axes in coordinates) for i in range(3)]
        high = [max(int(axes[i].max()) for axes in coordinates) + 1 for i in range(3)]
        self.image_shape = shape
        self.box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        self.inside = tuple(slice(m, m + b - a) for m, a, b in zip(margin, low, high, strict=True))
        self.shape = tuple(b - a + 2 * m for m, a, b in zip(margin, low, high, strict=True))
        self.start = tuple(m - a for m, a in zip(margin, low, strict=True))
        self.bits = np.zeros(self.shape, np.uint8)
        self.flat = self.bits.reshape(-1)

    def place(self, indices: Indices) -> Indices:
        """Where voxels of the image are on the flattened canvas."""
        axes = np.unravel_index(indices, self.image_shape)
        return np.ravel_multi_index(tuple(a + s for a, s in zip(axes, self.start, strict=True)), self.shape).astype(
            np.int64, copy=False
        )

    def step(self, offsets: Indices) -> Indices:
        """How far voxel offsets, shape (k, 3), go on the flattened canvas."""
        _, y, z = self.shape
        return offsets @ np.array([y * z, z, 1], dtype=np.int64)


def nearest_distances(
    queries: Indices, targets: Indices, shape: tuple[int, int, int], steps: Steps
) -> npt.NDArray[np.float64]:
    """Distance in mm from each query voxel to the nearest target voxel, between centers; infinite without targets.

    Queries and targets are ascending indices into the flattened image (C order) of `shape`.
    """
    distances = np.full(len(queries), np.inf)
    if not len(queries) or not len(targets):
        return distances
    shared = contained(queries, targets)
    distances[shared] = 0.0
    open_ = np.flatnonzero(~shared)
    if not len(open_):
        return distances
    flat = (shape[0] == 1, shape[1] == 1, shape[2] == 1)
    around = near(steps, flat)
    canvas = Canvas((queries, targets), shape, around.reach)
    canvas.flat[canvas.place(targets)] = 1
    places = canvas.place(queries[open_])
    for step, distance in zip(canvas.step(around.offsets), around.distances, strict=True):
        hit = canvas.flat[places + step].view(bool)
        if hit.any():
            distances[open_[hit]] = distance
            missed = ~hit
            open_, places = open_[missed], places[missed]
            if not len(open_):
                return distances
    del canvas
    distances[open_] = _by_tree(queries[open_], targets, shape, steps)
    return distances


def contained(queries: Indices, targets: Indices) -> npt.NDArray[np.bool_]:
    """Which of some ascending indices are among others, also ascending."""
    found = np.searchsorted(targets, queries)
    found[found == len(targets)] = 0
    same: npt.NDArray[np.bool_] = targets[found] == queries
    return same


def _by_tree(queries: Indices, targets: Indices, shape: tuple[int, int, int], steps: Steps) -> npt.NDArray[np.float64]:
    at, among = (np.stack(np.unravel_index(i, shape), axis=-1) for i in (queries, targets))
    # Points on a grid need no balancing, and surfaces far apart are searched twice as fast through large leaves.
    tree = KDTree(steps.to_mm(among), balanced_tree=False, leafsize=64)
    _, nearest = tree.query(steps.to_mm(at))
    # Measured again from whole voxels: the same pair of voxels gives the same distance however it was found.
    return steps.length(among[nearest] - at)
