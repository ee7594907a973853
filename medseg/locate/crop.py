"""The crop that a network made for crops is given, and its labels on the scan's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.locate.sampling import Image, covered, part_of
from medseg.models.locate_card import LocateCard
from medseg.types import Geometry

# Voxels around a crop of which the cubic spline is made; a spline over the whole head takes seconds.
MARGIN = 6


@dataclass(frozen=True, eq=False)
class Crop:
    """Labels of a crop, and where its voxels lie."""

    labels: npt.NDArray[np.uint8]
    grid: Geometry


def crop_axes(matrix: npt.NDArray[np.float64], pitch_degrees: float) -> npt.NDArray[np.float64]:
    """Directions of a crop's axes in the scan's world, shape (3, 3): the template's as found there, nodded."""
    u, _, v = np.linalg.svd(matrix[:3, :3])
    c, s = np.cos(np.deg2rad(pitch_degrees)), np.sin(np.deg2rad(pitch_degrees))
    nodded: npt.NDArray[np.float64] = u @ v @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    return nodded


def crop_grid(center: npt.NDArray[np.float64], axes: npt.NDArray[np.float64], card: LocateCard) -> Geometry:
    """Grid of a crop around a world point."""
    x, y, z = (max(1, round(mm / card.spacing_mm)) for mm in card.extent_mm)
    affine = np.eye(4)
    affine[:3, :3] = axes * card.spacing_mm
    affine[:3, 3] = center - affine[:3, :3] @ ((np.array([x, y, z]) - 1) / 2)
    return Geometry(affine, (x, y, z))


def sample_crop(image: Image, grid: Geometry) -> npt.NDArray[np.float32]:
    """Cubic samples of an image on a crop's grid; 0 outside the image."""
    return image.part(covered(grid, image.geometry, MARGIN)).on(grid, order=3, outside=0.0)


def by_quantiles(array: npt.NDArray[np.float32], quantiles: Sequence[float]) -> npt.NDArray[np.float32]:
    """Bring a crop's quantiles to those of the training data's crops, at equal steps from 0 to 1.

    Scanners differ in how far apart tissues lie in brightness, and vessels with contrast medium or air widen the range
    of a crop. The order of its voxels stays.
    """
    own = np.quantile(array, np.linspace(0, 1, len(quantiles)))
    first = np.flatnonzero(np.diff(own, prepend=-np.inf) > 0)  # of equal ones, as of air that is all 0
    brought: npt.NDArray[np.float32] = np.interp(array, own[first], np.array(quantiles)[first]).astype(np.float32)
    return brought


def labels_on(crops: Sequence[Crop], target: Geometry, values: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Labels of crops on another grid: of each voxel the class with the largest part of it, in the mean of the crops.

    - `values`: of the classes; a voxel of which they hold less than half together is background.
    """
    boxes = [covered(crop.grid, target, 0) for crop in crops]
    x, y, z = (slice(min(s.start for s in own), max(s.stop for s in own)) for own in zip(*boxes, strict=True))
    local = part_of(target, (x, y, z))
    parts = [
        np.mean(
            [Image((crop.labels == value).astype(np.float32), crop.grid).on(local, outside=0.0) for crop in crops], 0
        )
        for value in values
    ]
    winner = np.array(values, np.uint8)[np.argmax(parts, axis=0)]
    result = np.zeros(target.shape, np.uint8)
    result[x, y, z] = np.where(np.sum(parts, axis=0) > 0.5, winner, 0)
    return result
