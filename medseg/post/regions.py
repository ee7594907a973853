"""Size and place of many regions at once, and the order in which objects are numbered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.post.runs import Runs, find_runs, slabs, slowest_last
from medseg.types import Geometry
from medseg.types.instances import InstanceMeasures, InstanceRow

Integers = npt.NDArray[np.int64]

# Objects of equal size are ordered by their centroid to a thousandth of a mm, so that rounding cannot swap them.
CENTROID_DECIMALS = 3


@dataclass(frozen=True, eq=False)
class Regions:
    """Size and place of N regions; every figure is whole, so that regions can be joined without rounding.

    - `index_sums`, shape (N, 3): sum of the voxel indices along each array axis.
    - `starts`, `stops`, shape (N, 3): bounding boxes: the first index inside and the first beyond.
    """

    class_values: Integers
    voxels: Integers
    index_sums: Integers
    starts: Integers
    stops: Integers

    def __len__(self) -> int:
        return len(self.voxels)

    @classmethod
    def together(cls, parts: list[Regions]) -> Regions:
        """Return the regions of all parts one after the other."""
        return cls(
            np.concatenate([regions.class_values for regions in parts]),
            np.concatenate([regions.voxels for regions in parts]),
            np.concatenate([regions.index_sums for regions in parts]),
            np.concatenate([regions.starts for regions in parts]),
            np.concatenate([regions.stops for regions in parts]),
        )

    def take(self, chosen: npt.NDArray[Any]) -> Regions:
        """Return the regions at these positions, in their order."""
        return Regions(
            self.class_values[chosen],
            self.voxels[chosen],
            self.index_sums[chosen],
            self.starts[chosen],
            self.stops[chosen],
        )

    def join(self, groups: Integers, count: int) -> Regions:
        """Return `count` regions, each joined from all that share a group number 0 to `count` - 1."""
        classes, voxels = np.zeros(count, np.int64), np.zeros(count, np.int64)
        sums, stops = np.zeros((count, 3), np.int64), np.zeros((count, 3), np.int64)
        starts = np.full((count, 3), np.iinfo(np.int64).max)
        classes[groups] = self.class_values
        np.add.at(voxels, groups, self.voxels)
        np.add.at(sums, groups, self.index_sums)
        np.minimum.at(starts, groups, self.starts)
        np.maximum.at(stops, groups, self.stops)
        return Regions(classes, voxels, sums, starts, stops)

    def permute_axes(self, axes: tuple[int, ...]) -> Regions:
        """Return the same regions with array axis ``axes[i]`` in place ``i``."""
        order = list(axes)
        return Regions(
            self.class_values, self.voxels, self.index_sums[:, order], self.starts[:, order], self.stops[:, order]
        )

    def centroids(self, geometry: Geometry) -> npt.NDArray[np.float64]:
        """Mean positions of the voxel centers, mm RAS+, shape (N, 3)."""
        return geometry.to_world(self.index_sums / np.maximum(self.voxels, 1)[:, None])

    def order(self, geometry: Geometry) -> Integers:
        """Positions sorted as objects are numbered: by class, the largest first, equals from left to right.

        The order does not depend on how the array is laid out or oriented, nor on how the regions were found.
        """
        x, y, z = np.round(self.centroids(geometry), CENTROID_DECIMALS).T
        return np.lexsort((z, y, x, -self.voxels, self.class_values))

    def rows(self, geometry: Geometry, things: npt.NDArray[np.bool_]) -> tuple[InstanceRow, ...]:
        """Return one row for each region, with ids 1 to N in their order.

        - `things`, shape (N,): which of them are objects.
        """
        volume_ml = geometry.voxel_volume / 1000
        columns = (self.class_values, self.voxels, self.centroids(geometry), self.starts, self.stops, things)
        return tuple(
            InstanceRow(
                number,
                value,
                thing,
                voxels,
                measures=InstanceMeasures(voxels * volume_ml, tuple(centroid), tuple(start), tuple(stop)),
            )
            for number, (value, voxels, centroid, start, stop, thing) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True), start=1
            )
        )


def count_runs(runs: Runs, groups: Integers, count: int, shape: tuple[int, ...], first: int) -> Regions:
    """Return `count` regions, each of all runs that share a group number 0 to `count` - 1.

    - `runs`: of one slab of a volume; their values are taken as class values.
    - `first`: index of the slab's first plane in the volume, along the last axis.
    """
    lengths = runs.lengths
    rows, x = np.divmod(runs.places, shape[0])
    z, y = np.divmod(rows, shape[1])
    z += first
    begins = np.stack([x, y, z], axis=1)
    sums = np.stack([x * lengths + lengths * (lengths - 1) // 2, y * lengths, z * lengths], axis=1)
    ends = np.stack([x + lengths, y + 1, z + 1], axis=1)
    return Regions(runs.values.astype(np.int64), lengths, sums, begins, ends).join(groups, count)


def count_regions(ids: npt.NDArray[Any]) -> tuple[Integers, Regions]:
    """Return the ids in an array, ascending, and the region each marks, with the id for a class value.

    - `ids`, shape (X, Y, Z): 0 is background. May be a memory-mapped file.
    """
    axes = slowest_last(ids)
    view = ids.transpose(axes)
    found = []
    for first, last in slabs(view.shape):
        block = np.asfortranarray(view[..., first:last])
        runs = find_runs(block)
        values, groups = np.unique(runs.values, return_inverse=True)
        found.append(count_runs(runs, groups, len(values), block.shape, first))
    parts = Regions.together(found)
    values, groups = np.unique(parts.class_values, return_inverse=True)
    return values, parts.join(groups, len(values)).permute_axes(tuple(np.argsort(axes).tolist()))
