"""Joins pieces of an object that are too small to be objects."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from medseg.post.connectivity import neighbor_pairs
from medseg.post.surface_area import DIRECTIONS

__all__ = ["contacts", "merge_small"]


def merge_small(pieces: npt.NDArray[np.int32], minimum: float) -> npt.NDArray[np.int32]:
    """Join each piece of fewer than `minimum` voxels to the one it has most neighbors in, the smallest piece first.

    - `pieces`, shape (X, Y, Z): 1 to N; 0 is background.
    - returns, shape (X, Y, Z): the same pieces or fewer, 1 to M. A small piece that touches no other stays.
    """
    sizes = dict(enumerate(np.bincount(pieces.ravel()).tolist()))
    del sizes[0]
    if not sizes or min(sizes.values()) >= minimum:
        return pieces
    near: dict[int, dict[int, int]] = defaultdict(dict)
    for (one, other), count in contacts(pieces).items():
        near[one][other] = near[other][one] = count
    now = {piece: piece for piece in sizes}
    while True:
        small = [piece for piece, size in sizes.items() if size < minimum and near[piece]]
        if not small:
            break
        piece = min(small, key=lambda number: (sizes[number], number))
        host = max(near[piece], key=lambda number: (near[piece][number], -number))
        for other, count in near.pop(piece).items():
            del near[other][piece]
            if other != host:
                near[host][other] = near[other][host] = near[host].get(other, 0) + count
        sizes[host] += sizes.pop(piece)
        now = {number: host if place == piece else place for number, place in now.items()}
    final = {piece: number for number, piece in enumerate(sorted(sizes), start=1)}
    table = np.zeros(len(now) + 1, np.int32)
    for piece, place in now.items():
        table[piece] = final[place]
    return table[pieces]


def contacts(pieces: npt.NDArray[np.int32]) -> dict[tuple[int, int], int]:
    """Count, for each pair of pieces that touch, the pairs of neighboring voxels (26 neighbors) between them."""
    counted: dict[tuple[int, int], int] = defaultdict(int)
    for direction in DIRECTIONS:
        one_side, other_side = neighbor_pairs(pieces.shape, direction)
        here, there = pieces[one_side], pieces[other_side]
        meet = (here != there) & (here > 0) & (there > 0)
        low, high = np.minimum(here[meet], there[meet]), np.maximum(here[meet], there[meet])
        pairs, counts = np.unique(np.stack([low, high]), axis=1, return_counts=True)
        for one, other, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            counted[one, other] += count
    return dict(counted)
