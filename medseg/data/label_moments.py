"""Where each class of a label lies, how far it spreads, and how bright the image is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Voxels looked at in a label: of more, every second, third, ... in the order they are stored.
MOST = 2_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of one class in one case.

    - `voxels`: how many were looked at.
    - `center`, shape (3,): mm along x, y, z, after orientation to RAS, from the first voxel.
    - `covariance`, shape (3, 3): mm².
    - `means`, `deviations`, shape (channels,): of intensities.
    """

    voxels: int
    center: npt.NDArray[np.float64]
    covariance: npt.NDArray[np.float64]
    means: npt.NDArray[np.float64]
    deviations: npt.NDArray[np.float64]


def label_moments(
    labels: npt.NDArray[np.integer],
    image: npt.NDArray[np.floating],
    spacing: tuple[float, float, float],
    classes: Mapping[str, Sequence[int]],
) -> dict[str, Moments]:
    """Moments of each class that a label holds.

    - `labels`, shape (X, Y, Z), and `image`, shape (C, X, Y, Z): oriented to RAS.
    - `classes`: values of the label that belong to each class.
    """
    largest = max((value for values in classes.values() for value in values), default=0)
    places = np.flatnonzero((labels > 0) & (labels <= largest))
    places = places[:: max(1, -(-len(places) // MOST))]
    at = labels.ravel()[places]
    mm = np.stack(np.unravel_index(places, labels.shape), axis=0) * np.array(spacing)[:, None]
    levels = image.reshape(len(image), -1)[:, places].astype(np.float64)

    # Sums add up over values, so that a region of several values needs no second look at its voxels.
    def sums(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(at, weights, largest + 1).astype(np.float64)

    count = np.bincount(at, minlength=largest + 1)
    first = np.stack([sums(row) for row in mm])
    second = np.stack([np.stack([sums(a * b) for b in mm]) for a in mm])
    level, square = (np.stack([sums(row**power) for row in levels]) for power in (1, 2))
    found: dict[str, Moments] = {}
    for name, values in classes.items():
        own = [value for value in values if value]
        n = int(count[own].sum())
        if n == 0:
            continue
        center = first[:, own].sum(1) / n
        mean = level[:, own].sum(1) / n
        spread = np.sqrt(np.maximum(square[:, own].sum(1) / n - mean**2, 0))
        covariance = second[:, :, own].sum(2) / n - np.outer(center, center)
        found[name] = Moments(n, center, covariance, mean, spread)
    return found
