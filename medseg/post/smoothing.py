"""Clean-up that smooths borders."""

from __future__ import annotations

import logging
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from medseg.counted import counted
from medseg.post.components import components
from medseg.post.regions import count_regions
from medseg.types import LabelMap

logger = logging.getLogger("medseg.post")

# Beyond this many standard deviations the Gaussian is cut off, as SciPy's is.
REACH = 4.0


def smooth(labels: LabelMap, sigma_mm: float, *, classes: Collection[int] | None = None) -> LabelMap:
    """Smooth the borders of classes, without leaving gaps or overlaps between neighbors.

    The mask of every class and of background is blurred, and each voxel takes the class with the highest value, as
    long as both the class it had and the one it takes may change. An object that would vanish altogether is kept as it
    was: smoothing never loses a lesion.

    - `classes`: values of the classes that may change, with background; all by default.
    """
    old = labels.array
    values, regions = count_regions(old)
    sigmas = [sigma_mm / step for step in labels.geometry.spacing]
    margin = np.ceil(np.array(sigmas) * REACH).astype(int)
    best = np.zeros(old.shape, np.float32)
    total = np.zeros(old.shape, np.float32)
    winner = np.zeros_like(old)
    for value, start, stop in zip(values.tolist(), regions.starts, regions.stops, strict=True):
        box = tuple(
            slice(max(0, int(low)), min(size, int(high)))
            for low, high, size in zip(start - margin, stop + margin, old.shape, strict=True)
        )
        blurred = gaussian_filter((old[box] == value).astype(np.float32), sigmas, truncate=REACH, mode="nearest")
        # A tie goes to the class the voxel has.
        better = (blurred > best[box]) | ((blurred == best[box]) & (old[box] == value))
        best[box][better] = blurred[better]
        winner[box][better] = value
        total[box] += blurred
    winner[1 - total > best] = 0

    changing = [0, *(values.tolist() if classes is None else classes)]
    fixed = ~(np.isin(old, changing) & np.isin(winner, changing))
    winner[fixed] = old[fixed]
    return LabelMap(_restore_lost(labels, winner), labels.geometry, labels.table)


def _restore_lost(labels: LabelMap, smoothed: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Put back the objects of which nothing is left."""
    found = components(labels)
    restored = 0
    for row in found.rows:
        assert row.measures is not None
        box = row.measures.box
        mask = found.ids[box] == row.id
        if not (smoothed[box][mask] == row.class_value).any():
            smoothed[box][mask] = row.class_value
            restored += 1
    if restored:
        logger.info("%s too small to smooth, kept as before", counted(restored, "object"))
    return smoothed
