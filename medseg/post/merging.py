"""Joins parts of an object that are too small to be objects."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from medseg.post.connectivity import neighbor_pairs
from medseg.post.surface_area import DIRECTIONS


def merge_small(parts: npt.NDArray[np.int32], minimum: float) -> npt.NDArray[np.int32]:
    """Join each part of fewer than `minimum` voxels to the one it has most neighbors in, the smallest part first.

    - `parts`, shape (X, Y, Z): 1 to N; 0 is background.
    - returns, shape (X, Y, Z): the same parts or fewer, 1 to M. A small part that touches no other stays.
    """
    sizes = dict(enumerate(np.bincount(parts.ravel()).tolist()))
    del sizes[0]
    if not sizes or min(sizes.values()) >= minimum:
        return parts
    near: dict[int, dict[int, int]] = defaultdict(dict)
    for (one, other), count in contacts(parts).items():
        near[one][other] = near[other][one] = count
    now = {part: part for part in sizes}
    while True:
        small = [part for part, size in sizes.items() if size < minimum and near[part]]
        if not small:
            break
        part = min(small, key=lambda number: (sizes[number], number))
        host = max(near[part], key=lambda number: (near[part][number], -number))
        for other, count in near.pop(part).items():
            del near[other][part]
            if other != host:
                near[host][other] = near[other][host] = near[host].get(other, 0) + count
        sizes[host] += sizes.pop(part)
        now = {number: host if place == part else place for number, place in now.items()}
    final = {part: number for number, part in enumerate(sorted(sizes), start=1)}
    table = np.zeros(len(now) + 1, np.int32)
    for part, place in now.items():
        table[part] = final[place]
    return table[parts]


def contacts(parts: npt.NDArray[np.int32]) -> dict[tuple[int, int], int]:
    """Count, for each pair of parts that touch, the pairs of neighboring voxels (26 neighbors) between them."""
    counted: dict[tuple[int, int], int] = defaultdict(int)
    for direction in DIRECTIONS:
        one_side, other_side = neighbor_pairs(parts.shape, direction)
        first, second = parts[one_side], parts[other_side]
        meet = (first != second) & (first > 0) & (second > 0)
        low, high = np.minimum(first[meet], second[meet]), np.maximum(first[meet], second[meet])
        pairs, counts = np.unique(np.stack([low, high]), axis=1, return_counts=True)
        for one, other, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            counted[one, other] += count
    return dict(counted)
