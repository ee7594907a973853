"""One region of a scan: segmented in the crop where the template says, and again in one centered on what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.locate.crop import crop_axes, crop_grid, labels_on, sample_crop
from medseg.locate.registration import Placement
from medseg.locate.sampling import Image, largest_component
from medseg.models.locate_card import LocateCard, RegionCard
from medseg.types import Geometry, Prediction, Scan

FEWEST = 50  # voxels of a crop, below which nothing was found

Segmenter = Callable[[Scan], Prediction]


@dataclass(frozen=True, eq=False)
class Region:
    """What was found of one region.

    - `labels`, shape (X, Y, Z): the network's classes on the scan's grid.
    - `agreement`: Dice of the labels of the two crops.
    - `component_fraction`: of the labels, in the component that was kept.
    - `touches`: voxels at the crop's edge.
    - `moved_mm`: how far the second crop would have to be moved again.
    - `volumes_ml`: by class.
    - `centroid`: world mm.
    """

    card: RegionCard
    labels: npt.NDArray[np.uint8]
    agreement: float
    component_fraction: float
    touches: int
    moved_mm: float
    volumes_ml: Mapping[int, float]
    centroid: npt.NDArray[np.float64]
    prediction: Prediction

    @property
    def volume_ml(self) -> float:
        """Volume of all classes together."""
        return sum(self.volumes_ml.values())


def segment_region(
    segment: Segmenter, image: Image, placement: Placement, region: RegionCard, card: LocateCard
) -> Region | None:
    """Segment a region twice; None where the network found nothing."""
    axes = crop_axes(placement.matrix, card.pitch_degrees)
    center = placement.to_scan(region.center_mm)
    on_grid: list[npt.NDArray[np.uint8]] = []
    for _ in range(2):
        grid = crop_grid(center, axes, card)
        prediction = segment(Scan(sample_crop(image, grid)[None], grid, "MR"))
        kept = largest_component(prediction.labels.array > 0)
        labels = np.where(kept, prediction.labels.array, 0).astype(np.uint8)
        if kept.sum() < FEWEST:
            return None
        fraction = float(kept.sum() / (prediction.labels.array > 0).sum())
        values = [entry.value for entry in prediction.labels.table]
        on_grid.append(labels_on(labels, grid, image.geometry, values))
        found = _training_middle(labels, grid, region)
        moved, center = float(np.linalg.norm(found - center)), found
    if not on_grid[1].any():  # thinner than the scan's voxels
        return None
    ml = image.geometry.voxel_volume / 1000
    return Region(
        region,
        on_grid[1],
        dice(on_grid[0], on_grid[1]),
        fraction,
        sum(int((np.moveaxis(labels, axis, 0)[[0, -1]] > 0).sum()) for axis in range(3)),
        moved,
        {value: float((on_grid[1] == value).sum() * ml) for value in values},
        image.geometry.to_world(np.argwhere(on_grid[1])).mean(axis=0),
        prediction,
    )


def dice(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Dice of two label maps, all classes as one."""
    return float(2 * ((a > 0) & (b > 0)).sum() / max(int((a > 0).sum() + (b > 0).sum()), 1))


def _training_middle(labels: npt.NDArray[np.uint8], grid: Geometry, region: RegionCard) -> npt.NDArray[np.float64]:
    """World point where the training data's crops would have their middle."""
    index = np.argwhere(labels)
    middle = (index.min(axis=0) + index.max(axis=0)) / 2 + np.array(region.offset_mm) / grid.spacing
    return grid.to_world(middle)
