"""Connected components slab by slab, joined across the seams: exact, fast, and for volumes larger than memory."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medseg.post.connectivity import neighbor_pairs, seam_offsets
from medseg.post.regions import Regions, count_runs
from medseg.post.runs import find_runs, slabs, slowest_last
from medseg.types import Geometry


def label_in_slabs(
    labels: npt.NDArray[Any],
    geometry: Geometry,
    *,
    connectivity: int,
    classes: Collection[int] | None = None,
    joined: Collection[int] = (),
    planes: int | None = None,
    out: npt.NDArray[np.int32] | None = None,
) -> tuple[npt.NDArray[np.int32], Regions]:
    """Number the connected components of every class of a label map.

    Two passes. The first labels each slab by itself, notes which components touch across the seam to the slab before,
    and gathers their sizes; the second writes final ids. Only one slab of voxels is held at a time, so that `labels`
    and `out` may be memory-mapped files.

    - `labels`, shape (X, Y, Z): 0 is background; voxels of different values never join.
    - `classes`: the classes to number; all by default. Voxels of others become 0.
    - `joined`: classes whose components all become one region each, as stuff does.
    - `planes`: thickness of a slab along the slowest axis of `labels`; by default about four million voxels' worth.
    - `out`, shape (X, Y, Z): receives the ids, whatever it held.
    - returns, shape (X, Y, Z): 1 to N, in the order of `Regions.order`; laid out in memory as `labels` is.
    """
    axes = slowest_last(labels)
    inverse = tuple(np.argsort(axes).tolist())
    view = labels.transpose(axes)
    bounds = slabs(view.shape, planes)

    numbered_slabs = _number_slabs(view, bounds, connectivity)
    regions, whole = _join(Regions.together(numbered_slabs.found), numbered_slabs.pairs, joined)
    regions = regions.permute_axes(inverse)
    order = regions.order(geometry)
    if classes is not None:
        order = order[np.isin(regions.class_values[order], list(classes))]
    ids = np.zeros(len(regions), np.int32)
    ids[order] = np.arange(1, len(order) + 1)
    # Memory that was never written costs nothing: a map that is mostly background stays mostly virtual.
    written = np.zeros(view.shape, np.int32, order="F") if out is None else out.transpose(axes)
    for (first, last), start, stop in zip(bounds, numbered_slabs.offsets, numbered_slabs.offsets[1:], strict=False):
        block = np.asfortranarray(view[..., first:last])
        # Numbered once more rather than kept: cheaper than writing provisional numbers and reading them back.
        numbered, _ = _components(block, connectivity)
        _write(ids[whole[start:stop]], block, numbered, written[..., first:last], blank=out is None)
    return (written.transpose(inverse) if out is None else out), regions.take(order)


def find_regions(labels: npt.NDArray[Any], *, connectivity: int) -> Regions:
    """Return the connected components of every class of a label map, in no order, with one slab in memory at a time.

    - `labels`, shape (X, Y, Z): 0 is background; voxels of different values never join.
    """
    axes = slowest_last(labels)
    view = labels.transpose(axes)
    numbered_slabs = _number_slabs(view, slabs(view.shape), connectivity)
    regions, _ = _join(Regions.together(numbered_slabs.found), numbered_slabs.pairs, ())
    return regions.permute_axes(tuple(np.argsort(axes).tolist()))


@dataclass(frozen=True, eq=False)
class _NumberedSlabs:
    """The components of each slab by itself, which of them touch across a seam, and how many lie before each slab."""

    found: list[Regions]
    pairs: list[npt.NDArray[np.int64]]
    offsets: list[int]


def _number_slabs(view: npt.NDArray[Any], bounds: list[tuple[int, int]], connectivity: int) -> _NumberedSlabs:
    """Label each slab of a volume, between these planes along its last axis, by itself."""
    found: list[Regions] = []
    pairs: list[npt.NDArray[np.int64]] = []
    offsets = [0]
    before: _Seam | None = None
    for first, last in bounds:
        block = np.asfortranarray(view[..., first:last])
        numbered, count = _components(block, connectivity)
        found.append(_regions_of_slab(block, numbered, count, first))
        if before is not None:
            pairs.append(_touching(before, _seam(block, numbered, 0, offsets[-1]), connectivity))
        before = _seam(block, numbered, -1, offsets[-1])
        offsets.append(offsets[-1] + count)
    return _NumberedSlabs(found, pairs, offsets)


def _components(block: npt.NDArray[Any], connectivity: int) -> tuple[npt.NDArray[Any], int]:
    if not block.any():
        return np.zeros_like(block), 0
    if not block.flags.writeable:  # cc3d takes no read-only memory, such as a file mapped to be read
        block = block.copy(order="F")
    numbered, count = cc3d.connected_components(block, connectivity=connectivity, return_N=True)
    return np.asfortranarray(numbered), int(count)


def _regions_of_slab(block: npt.NDArray[Any], numbered: npt.NDArray[Any], count: int, first: int) -> Regions:
    """Sizes and places of the components of one slab, in voxels of the whole volume."""
    runs = find_runs(numbered)
    groups = runs.values.astype(np.int64) - 1
    classes = block.reshape(-1, order="F")[runs.places]
    return count_runs(replace(runs, values=classes), groups, count, block.shape, first)


def _write(
    ids: npt.NDArray[np.int32],
    block: npt.NDArray[Any],
    numbered: npt.NDArray[Any],
    out: npt.NDArray[np.int32],
    *,
    blank: bool,
) -> None:
    """Write the ids of a slab's components, given in their order, into `out`, which is blank where nothing was yet."""
    foreground = np.flatnonzero(block.reshape(-1, order="F") != 0)
    result = out if blank else np.zeros(out.shape, np.int32, order="F")
    result.reshape(-1, order="F")[foreground] = ids[numbered.reshape(-1, order="F")[foreground] - 1]
    if not blank:
        out[...] = result


@dataclass(frozen=True, eq=False)
class _Seam:
    """The plane of a slab that faces its neighbor.

    `values` are its labels, `numbers` its components counted over all slabs from 0.
    """

    values: npt.NDArray[Any]
    numbers: npt.NDArray[np.int64]


def _seam(block: npt.NDArray[Any], numbered: npt.NDArray[Any], plane: int, offset: int) -> _Seam:
    return _Seam(block[..., plane].copy(), numbered[..., plane].astype(np.int64) - 1 + offset)


def _touching(one: _Seam, other: _Seam, connectivity: int) -> npt.NDArray[np.int64]:
    """Pairs of components, shape (pairs, 2), that touch between two neighboring planes."""
    gathered = [np.empty((0, 2), np.int64)]
    for step in seam_offsets(connectivity):
        near, far = neighbor_pairs(one.values.shape, step)
        same = (one.values[near] == other.values[far]) & (one.values[near] != 0)
        if same.any():
            # Both numbers in one, as sorting pairs is many times slower.
            keys = np.unique((one.numbers[near][same] << 32) | other.numbers[far][same])
            gathered.append(np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1))
    return np.concatenate(gathered)


def _join(
    parts: Regions, pairs: list[npt.NDArray[np.int64]], joined: Collection[int]
) -> tuple[Regions, npt.NDArray[np.int64]]:
    """Join what touches across seams; return the whole regions and, for each part, the region it belongs to."""
    links = [np.empty((0, 2), np.int64), *pairs]
    for value in joined:
        of_class = np.flatnonzero(parts.class_values == value)
        links.append(np.stack([of_class[:-1], of_class[1:]], axis=1))
    if len(parts) == 0:
        return parts, np.empty(0, np.int64)
    one, other = np.concatenate(links).T
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(parts), len(parts)))
    count, groups = connected_components(graph, directed=False)
    return parts.join(groups.astype(np.int64), int(count)), groups.astype(np.int64)
