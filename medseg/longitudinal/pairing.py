"""Which objects of one time are which of the other, by where they lie in a common space.

No label is resampled: positions of voxels are carried from one grid to the other, and volumes stay those of each grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from medseg.types import Geometry, Instances

Ids = npt.NDArray[np.int64]
Places = npt.NDArray[np.float64]
Pairs = dict[tuple[int, int], float]  # id before and id after: the fraction of the smaller one that both share

LEAST = 0.1  # of the smaller of two objects, that both must share where either also shares more with another one
COVERED = 0.5  # of an object, that must lie inside the other scan for it to be missing there


@dataclass(frozen=True, eq=False)
class ObjectsAt:
    """The objects of one time.

    - `names`: class of each id that is followed.
    - `to_other`, shape (4, 4): this time's world to the other's, RAS+ mm.
    """

    instances: Instances
    names: Mapping[int, str]
    to_other: npt.NDArray[np.float64]

    def voxels(self) -> Voxels:
        """Every voxel of an object that is followed."""
        ids, grid = self.instances.ids, self.instances.geometry
        places = np.argwhere(ids)
        found = ids[tuple(places.T)].astype(np.int64)
        kept = np.isin(found, list(self.names))
        own = grid.to_world(places[kept])
        return Voxels(found[kept], own, own @ self.to_other[:3, :3].T + self.to_other[:3, 3])


@dataclass(frozen=True, eq=False)
class Voxels:
    """Voxels of objects: id, and position in this time's world and in the other's, RAS+ mm."""

    ids: Ids
    own: Places
    other: Places


@dataclass(frozen=True)
class Group:
    """Objects that are one another at both times, by their ids."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    is_covered: bool = True  # whether the other scan shows the place of an object that has no partner
    is_apart: bool = True  # whether several at one time lie clearly apart, and are no one object that is nearly cut


def pair_objects(before: ObjectsAt, after: ObjectsAt, slack_mm: float) -> tuple[Group, ...]:
    """Pair the objects of two times.

    Objects of one class that share voxels are one another; of those that share none with any, the ones that lie within
    `slack_mm` of each other: voxels' sizes and what the registration may be off by.
    """
    ours, theirs = before.voxels(), after.voxels()
    shared = _shared(ours, before, after)
    for (b, a), fraction in _shared(theirs, after, before).items():
        shared[a, b] = max(shared.get((a, b), 0.0), fraction)
    shared = _enough(shared)
    alone_a = {a: name for a, name in before.names.items() if a not in {a for a, _ in shared}}
    alone_b = {b: name for b, name in after.names.items() if b not in {b for _, b in shared}}
    for name in sorted(set(alone_a.values()) & set(alone_b.values())):
        near_a, near_b = ([key for key, own in alone.items() if own == name] for alone in (alone_a, alone_b))
        shared |= _near(ours, theirs, (near_a, near_b), slack_mm)
    covered_a = _inside(ours, after.instances.geometry)
    covered_b = _inside(theirs, before.instances.geometry)
    edge_mm = max(objects.instances.geometry.voxel_volume for objects in (before, after)) ** (1 / 3)
    return tuple(
        Group(
            a,
            b,
            is_covered=(bool(a) and bool(b)) or (covered_b[b[0]] if b else covered_a[a[0]]) >= COVERED,
            is_apart=_are_apart(ours, a, slack_mm + edge_mm) or _are_apart(theirs, b, slack_mm + edge_mm),
        )
        for a, b in _groups(list(before.names), list(after.names), shared)
    )


def _are_apart(voxels: Voxels, parts: tuple[int, ...], gap_mm: float) -> bool:
    """Whether some of several objects lie further from all others than a gap that drawing them anew may close."""
    if len(parts) < 2:
        return False
    places = {part: voxels.own[voxels.ids == part] for part in parts}
    linked, rest = {parts[0]}, set(parts[1:])
    while rest:
        tree = cKDTree(np.concatenate([places[part] for part in linked]))
        near = {part for part in rest if np.min(tree.query(places[part], distance_upper_bound=gap_mm)[0]) <= gap_mm}
        if not near:
            return True
        linked, rest = linked | near, rest - near
    return False


def _indices(world: Places, grid: Geometry) -> tuple[Ids, npt.NDArray[np.bool_]]:
    """Voxel that each position lies in, and whether it lies inside the grid."""
    index = np.rint(grid.to_voxel(world)).astype(np.int64)
    inside: npt.NDArray[np.bool_] = np.all((index >= 0) & (index < np.array(grid.shape)), axis=1)
    return index, inside


def _shared(voxels: Voxels, ours: ObjectsAt, other: ObjectsAt) -> Pairs:
    """By voxels of one time, the fraction of the smaller of two objects that they share; (own id, other id)."""
    index, inside = _indices(voxels.other, other.instances.geometry)
    theirs = np.zeros(len(voxels.ids), np.int64)
    theirs[inside] = other.instances.ids[tuple(index[inside].T)]
    both = np.isin(theirs, list(other.names))
    pairs, counts = np.unique(np.column_stack([voxels.ids[both], theirs[both]]), axis=0, return_counts=True)
    own = {row.id: float(row.voxels) for row in ours.instances.rows}
    scale = other.instances.geometry.voxel_volume / ours.instances.geometry.voxel_volume
    sizes = {row.id: row.voxels * scale for row in other.instances.rows}  # in voxels of this time
    return {
        (a, b): min(1.0, count / min(own[a], sizes[b]))
        for (a, b), count in zip(pairs.tolist(), counts.tolist(), strict=True)
        if ours.names[a] == other.names[b]
    }


def _enough(shared: Pairs) -> Pairs:
    """Drop what two objects share by the way, at the edge of a neighbor, where each has a better partner."""
    best_a: dict[int, float] = {}
    best_b: dict[int, float] = {}
    for (a, b), fraction in shared.items():
        best_a[a], best_b[b] = max(best_a.get(a, 0.0), fraction), max(best_b.get(b, 0.0), fraction)
    return {
        (a, b): fraction
        for (a, b), fraction in shared.items()
        if fraction >= LEAST or fraction in (best_a[a], best_b[b])
    }


def _near(ours: Voxels, theirs: Voxels, alone: tuple[list[int], list[int]], slack_mm: float) -> Pairs:
    """Pair objects that share nothing with any other, each of the second time with the nearest within a distance."""
    mine, other = np.isin(ours.ids, alone[0]), np.isin(theirs.ids, alone[1])
    found = cKDTree(ours.own[mine]).query(theirs.other[other], distance_upper_bound=slack_mm)
    distance, nearest = (np.asarray(part) for part in found)
    closest: dict[int, tuple[float, int]] = {}
    for b, mm, at in zip(theirs.ids[other].tolist(), distance.tolist(), nearest.tolist(), strict=True):
        if mm <= slack_mm and mm < closest.get(b, (np.inf, 0))[0]:
            closest[b] = (mm, int(ours.ids[mine][at]))
    return {(a, b): 0.0 for b, (_, a) in closest.items()}


def _groups(before: list[int], after: list[int], shared: Pairs) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Connected components of the graph of shared objects."""
    at_a, at_b = {a: n for n, a in enumerate(before)}, {b: n + len(before) for n, b in enumerate(after)}
    rows, columns = [at_a[a] for a, _ in shared], [at_b[b] for _, b in shared]
    size = len(before) + len(after)
    if not size:
        return []
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    count, member = connected_components(graph, directed=False)
    groups: list[tuple[list[int], list[int]]] = [([], []) for _ in range(count)]
    for a, n in at_a.items():
        groups[member[n]][0].append(a)
    for b, n in at_b.items():
        groups[member[n]][1].append(b)
    return [(tuple(a), tuple(b)) for a, b in groups]


def _inside(voxels: Voxels, grid: Geometry) -> dict[int, float]:
    """Fraction of each object that lies inside the other scan."""
    _, inside = _indices(voxels.other, grid)
    values, at = np.unique(voxels.ids, return_inverse=True)
    fractions = np.bincount(at, weights=inside) / np.maximum(np.bincount(at), 1)
    return dict(zip(values.tolist(), fractions.tolist(), strict=True))
