"""Splits touching objects by their shape: watershed on the distance to the border."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction

from medseg.post.components import components
from medseg.post.connectivity import Connectivity
from medseg.post.flooding import flood
from medseg.post.merging import merge_small
from medseg.post.numbering import number_objects
from medseg.post.orientation import canonical
from medseg.types import Instances, LabelMap
from medseg.types.instances import InstanceRow


def watershed(
    labels: LabelMap,
    *,
    depth_mm: float = 0.5,
    sigma_mm: float = 1.0,
    min_mm3: float = 0.0,
    connectivity: Connectivity = 26,
    classes: Collection[int] | None = None,
    planes: int | None = None,
    out: npt.NDArray[np.int32] | None = None,
) -> Instances:
    """Make objects of connected components, and split those that have several deep middles.

    Every labeled voxel belongs to an object and no background voxel does: the foreground is not changed. The result
    does not depend on how the array is oriented.

    - `labels`: its array may be a memory-mapped file; memory is needed for the largest component.
    - `depth_mm`: how much deeper than the neck between them two middles must lie to count as two: the h of the h-maxima
      of the distance to the border. Smaller splits more.
    - `sigma_mm`: standard deviation of the Gaussian that smooths the distance first, so that a rough border splits
      nothing; 0 for none.
    - `min_mm3`: no part smaller than this is split off; it joins the part it shares most border with.
    """
    found = components(labels, connectivity=connectivity, classes=classes, planes=planes, out=out)
    ids, geometry = found.ids, found.geometry
    oriented = canonical(geometry)
    spacing = oriented.spacing(geometry)
    minimum = min_mm3 / geometry.voxel_volume
    of_class = {row.id: row.class_value for row in found.rows}
    following = len(found.rows) + 1
    for row in found.rows:
        if row.voxels < max(2, 2 * minimum):
            continue
        crop = ids[_box_with_border(row, geometry.shape)]
        parts = split_mask(oriented.view(crop == row.id), spacing, depth_mm=depth_mm, sigma_mm=sigma_mm)
        parts = merge_small(parts, minimum)
        count = int(parts.max())
        if count < 2:
            continue
        extra = parts > 1
        oriented.view(crop)[extra] = parts[extra] + (following - 2)
        of_class.update(dict.fromkeys(range(following, following + count - 1), row.class_value))
        following += count - 1
    return number_objects(ids, geometry, of_class, found.table)


def split_mask(
    mask: npt.NDArray[np.bool_], spacing: tuple[float, ...], *, depth_mm: float, sigma_mm: float
) -> npt.NDArray[np.int32]:
    """Split one object.

    - `mask`, shape (X, Y, Z): the object, with a margin of background where it does not end at the grid's edge: what
      lies beyond the array counts neither as object nor as border.
    - returns, shape (X, Y, Z): parts 1 to N; 0 outside the mask.
    """
    whole = mask.astype(np.int32)
    if mask.all():
        return whole
    distance = distance_transform_edt(mask, sampling=spacing).astype(np.float32)
    if sigma_mm > 0:
        distance = gaussian_filter(distance, [sigma_mm / step for step in spacing])
        distance[~mask] = 0
    if distance.max() < depth_mm:  # no middle can lie that much deeper than a neck
        return whole
    seeds = _deep_middles(distance, depth_mm)
    if seeds.max() < 2:
        return whole
    return flood(-distance, seeds, mask)


def _deep_middles(distance: npt.NDArray[np.float32], depth: float) -> npt.NDArray[np.int32]:
    """Number the maxima that rise at least `depth` above the highest saddle to any higher one."""
    levelled = reconstruction(distance - np.float32(depth), distance, method="dilation")
    return np.asarray(label(local_maxima(levelled), connectivity=distance.ndim), np.int32)


def _box_with_border(row: InstanceRow, shape: tuple[int, ...]) -> tuple[slice, ...]:
    assert row.measures is not None
    ends = zip(row.measures.start, row.measures.stop, shape, strict=True)
    return tuple(slice(max(0, start - 1), min(size, stop + 1)) for start, stop, size in ends)
