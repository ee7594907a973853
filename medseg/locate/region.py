"""One region of a scan: its place settled crop by crop, then segmented in crops moved from it by known steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt

from medseg.locate.crop import Crop, crop_axes, crop_grid, labels_on, sample_crop
from medseg.locate.registration import Placement
from medseg.locate.sampling import Image, largest_component
from medseg.models.locate_card import LocateCard, RegionCard
from medseg.types import Prediction, Scan

FEWEST = 50  # voxels of a crop, below which nothing was found
SETTLING = 3  # crops after which the place must have settled
# mm along a crop's axes, by which the crops that are compared lie off the place: a registration errs by as much, and a
# network that does not see its region answers otherwise in each.
STEPS = tuple(product((2, -2), (3, -3), (2, -2)))
# No two of a half are beside each other: four in the brightness of the training data, and four as they are.
BROUGHT, PLAIN = ([step for step in STEPS if (np.prod(step) > 0) == one] for one in (True, False))

Segmenter = Callable[[Scan], Prediction]
Brightness = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Region:
    """What was found of one region.

    - `labels`, shape (X, Y, Z): the network's classes on the scan's grid, the mean of the settled crop and of those
      moved from it, all in the brightness of the training data.
    - `agreement`: Dice of the mean of those moved crops and of others that were moved otherwise and left as they are.
    - `least_agreement`: least Dice of two of the moved crops.
    - `component_fraction`: of the labels of the settled crop, in the component that was kept.
    - `fluid`: fraction of the labels in voxels as dark as fluid.
    - `touches`: voxels at the settled crop's edge.
    - `moved_mm`: how far that crop would have to be moved again.
    - `volumes_ml`: by class.
    - `centroid`: world mm.
    - `prediction`: of the settled crop.
    """

    card: RegionCard
    labels: npt.NDArray[np.uint8]
    agreement: float
    least_agreement: float
    component_fraction: float
    fluid: float
    touches: int
    moved_mm: float
    volumes_ml: Mapping[int, float]
    centroid: npt.NDArray[np.float64]
    prediction: Prediction

    @property
    def volume_ml(self) -> float:
        """Volume of all classes together."""
        return sum(self.volumes_ml.values())


@dataclass(frozen=True, eq=False)
class _Segmented:
    """A crop's largest component, the fraction of all labels that it is, and what the network gave."""

    crop: Crop
    fraction: float
    prediction: Prediction


def as_it_is(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Leave a crop in the brightness of its scan."""
    return array


def segment_region(
    segment: Segmenter,
    image: Image,
    placement: Placement,
    region: RegionCard,
    card: LocateCard,
    as_in_training: Brightness = as_it_is,
) -> Region | None:
    """Segment a region; None where the network found nothing.

    - `as_in_training`: brings a crop to the brightness of the training data.
    """
    axes = crop_axes(placement.matrix, card.pitch_degrees)

    def segmented(center: npt.NDArray[np.float64], brought: Brightness = as_in_training) -> _Segmented | None:
        grid = crop_grid(center, axes, card)
        array = brought(sample_crop(image, grid))
        prediction = segment(Scan(array[None], grid, "MR"))
        kept = largest_component(prediction.labels.array > 0)
        if kept.sum() < FEWEST:
            return None
        labels = np.where(kept, prediction.labels.array, 0).astype(np.uint8)
        return _Segmented(Crop(labels, grid), float(kept.sum() / (prediction.labels.array > 0).sum()), prediction)

    center = placement.to_scan(region.center_mm)
    for _ in range(SETTLING):
        settled = segmented(center)
        if settled is None:
            return None
        place, center = center, _training_middle(settled.crop, region)
    assert settled is not None  # for a type checker, to which the loop may be empty
    moved = [segmented(place + axes @ np.array(step)) for step in BROUGHT]
    plain = [segmented(place + axes @ np.array(step), as_it_is) for step in PLAIN]
    ours, theirs = ([one.crop for one in crops if one is not None] for crops in (moved, plain))
    if len(ours) < len(moved) or len(theirs) < len(plain):
        return None
    values = [entry.value for entry in settled.prediction.labels.table]
    labels = labels_on([settled.crop, *ours], image.geometry, values)
    if not labels.any():  # thinner than the scan's voxels
        return None
    ml = image.geometry.voxel_volume / 1000
    own, grid = settled.crop.labels, settled.crop.grid
    # On the grid of a crop: on the scan's, thick voxels would count as disagreement.
    each = [labels_on([crop], grid, values) for crop in ours]
    return Region(
        region,
        labels,
        dice(labels_on(ours, grid, values), labels_on(theirs, grid, values)),
        min(dice(a, b) for a, b in combinations(each, 2)),
        settled.fraction,
        float((image.array[labels > 0] < placement.tissues.darkest).mean()),
        sum(int((np.moveaxis(own, axis, 0)[[0, -1]] > 0).sum()) for axis in range(3)),
        float(np.linalg.norm(center - place)),
        {value: float((labels == value).sum() * ml) for value in values},
        image.geometry.to_world(np.argwhere(labels)).mean(axis=0),
        settled.prediction,
    )


def dice(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Dice of two label maps, all classes as one."""
    return float(2 * ((a > 0) & (b > 0)).sum() / max(int((a > 0).sum() + (b > 0).sum()), 1))


def _training_middle(crop: Crop, region: RegionCard) -> npt.NDArray[np.float64]:
    """World point where the training data's crops would have their middle."""
    index = np.argwhere(crop.labels)
    middle = (index.min(axis=0) + index.max(axis=0)) / 2 + np.array(region.offset_mm) / crop.grid.spacing
    return crop.grid.to_world(middle)
