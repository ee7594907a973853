"""Objects from a network that was trained with a border class: interiors are seeds, and borders are shared out."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from medseg.data.border_class import without_border
from medseg.errors import InputError
from medseg.post.connectivity import Connectivity, neighborhood
from medseg.post.flooding import flood
from medseg.post.measure import channel_of_class
from medseg.post.numbering import number_objects
from medseg.post.orientation import canonical
from medseg.post.slab_labeling import label_in_slabs
from medseg.post.watershed import split_mask
from medseg.types import Instances, LabelMap, LabelTable
from medseg.types.labels import BORDER

logger = logging.getLogger("medseg.post")


def objects_from_border(
    labels: LabelMap,
    *,
    probabilities: npt.NDArray[np.floating] | None = None,
    border: str = BORDER,
    min_seed_mm3: float = 0.0,
    min_mm3: float = 0.0,
    depth_mm: float | None = None,
    sigma_mm: float = 1.0,
    connectivity: Connectivity = 26,
    planes: int | None = None,
) -> Instances:
    """Put interiors and borders together into objects.

    Each interior, connected by voxel faces, is the seed of an object of its class; border voxels go to the seed the
    flood reaches them from first: along the valleys of the border probability where given, by distance otherwise.
    A part of the border without any interior is an object too thin to have one, of the class its probabilities favor.

    - `labels`: as a network trained on `medseg.data.border_class.border_labels` gives it.
    - `min_seed_mm3`: interiors smaller than this are no seeds, unless a part of the foreground has no larger one.
    - `depth_mm`, `sigma_mm`: interiors the network did not separate are split by shape, as
      `medseg.post.watershed.watershed` splits objects, and each part is a seed. None splits none.
    - `connectivity`, `planes`: of the foreground, interiors and borders together; as for
      `medseg.post.components.components`.
    """
    border_value, table = _border_value(labels.table, border), without_border(labels.table, border)
    if probabilities is not None and probabilities.shape != (1 + len(labels.table), *labels.geometry.shape):
        raise InputError(
            f"probabilities of shape {probabilities.shape} do not fit {len(labels.table)} classes on the labels' grid",
            fix=f"Give them with the shape {(1 + len(labels.table), *labels.geometry.shape)}, the background first.",
        )
    channels = channel_of_class(labels.table)
    foreground = (labels.array > 0).view(np.uint8)
    ids, regions = label_in_slabs(
        foreground, labels.geometry, connectivity=neighborhood(connectivity, labels.geometry.shape), planes=planes
    )
    oriented = canonical(labels.geometry)
    seeds_of = _Seeds(
        border_value, min_seed_mm3 / labels.geometry.voxel_volume, oriented.spacing(labels.geometry), depth_mm, sigma_mm
    )
    of_class: dict[int, int] = {}
    lost = 0
    following = len(regions) + 1
    for number, (start, stop) in enumerate(zip(regions.starts.tolist(), regions.stops.tolist(), strict=True), start=1):
        # A margin of one voxel, where the grid reaches further, so that interiors end inside the crop.
        ends = zip(start, stop, labels.geometry.shape, strict=True)
        box = tuple(slice(max(0, first - 1), min(size, last + 1)) for first, last, size in ends)
        crop = oriented.view(ids[box])
        mask = crop == number
        seeds, classes = seeds_of.find(oriented.view(labels.array[box]), mask)
        if not classes:
            value = _class_of_thin(table, channels, probabilities, box, ids[box] == number)
            if value is None:
                lost += int(mask.sum())
            else:
                of_class[number] = value
            continue
        if len(classes) == 1:
            of_class[number] = classes[0]
            continue
        if probabilities is None:
            relief = distance_transform_edt(seeds == 0, sampling=oriented.spacing(labels.geometry))
        else:
            relief = oriented.view(probabilities[channels[border_value]][box])
        parts = flood(relief, seeds, mask)
        crop[mask] = parts[mask] + (following - 1)
        of_class.update(enumerate(classes, start=following))
        following += len(classes)
    if lost:
        logger.warning(
            "%d border voxels touch no interior, and their class is unknown without probabilities, so they "
            "belong to no object.",
            lost,
        )
    _drop_small(ids, of_class, min_mm3 / labels.geometry.voxel_volume)
    return number_objects(ids, labels.geometry, of_class, table)


def _drop_small(ids: npt.NDArray[np.int32], of_class: dict[int, int], minimum: float) -> None:
    """Turn objects of fewer voxels into background."""
    if minimum <= 1:
        return
    sizes = np.bincount(ids.ravel())
    small = sizes < minimum
    kept = np.arange(len(sizes), dtype=np.int32)
    kept[small] = 0
    ids[...] = kept[ids]
    for number in np.flatnonzero(small).tolist():
        of_class.pop(number, None)


@dataclass(frozen=True)
class _Seeds:
    """Finds interiors, and splits them by shape where a depth is given. `minimum` is in voxels."""

    border: int
    minimum: float
    spacing: tuple[float, float, float]
    depth: float | None
    sigma: float

    def find(
        self, labels: npt.NDArray[np.integer], mask: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int32], list[int]]:
        """Return the interiors in a mask numbered from 1, and the class of each."""
        interior = np.where(mask & (labels != self.border), labels, 0)
        found = np.asarray(cc3d.connected_components(np.asfortranarray(interior), connectivity=6), np.int32)
        if self.depth is not None:
            found = self._split(found, self.depth)
        sizes = np.bincount(found.ravel())
        sizes[0] = 0
        kept = np.flatnonzero(sizes >= max(1.0, min(self.minimum, float(sizes.max()))))
        table = np.zeros(len(sizes), np.int32)
        table[kept] = np.arange(1, len(kept) + 1)
        places = np.unique(found, return_index=True)
        classes = dict(zip(places[0].tolist(), interior.ravel()[places[1]].tolist(), strict=True))
        return table[found], [classes[number] for number in kept.tolist()]

    def _split(self, found: npt.NDArray[np.int32], depth: float) -> npt.NDArray[np.int32]:
        """Number the parts of all interiors anew."""
        parts = np.zeros_like(found)
        # Each in its own box: an unsure network leaves thousands of interiors in one region as large as the image.
        # What the smoothing reaches belongs to the box, so that the parts are those the whole region would give.
        margins = [2 + int(4 * self.sigma / step) for step in self.spacing]
        following = 0
        for number, box in enumerate(find_objects(found), start=1):
            around = tuple(
                slice(max(0, extent.start - margin), extent.stop + margin)
                for extent, margin in zip(box, margins, strict=True)
            )
            inside = found[around] == number
            split = split_mask(inside, self.spacing, depth_mm=depth, sigma_mm=self.sigma)
            parts[around][inside] = split[inside] + following
            following += int(split.max())
        return parts


def _class_of_thin(
    table: LabelTable,
    channels: dict[int, int],
    probabilities: npt.NDArray[np.floating] | None,
    box: tuple[slice, ...],
    mask: npt.NDArray[np.bool_],
) -> int | None:
    """Class of an object that is all border."""
    values = [item.value for item in table]
    if len(values) == 1:
        return values[0]
    if probabilities is None:
        return None
    sums = Counter({value: float(probabilities[channels[value]][box][mask].sum()) for value in values})
    return sums.most_common(1)[0][0]


def _border_value(table: LabelTable, border: str) -> int:
    value = next((item.value for item in table if item.name == border), None)
    if value is None or len(table) < 2:
        raise InputError(
            f"the label table needs a class called '{border}' and another class",
            fix="Train the model on references that number objects with border_mm, or name its border class.",
        )
    return value
