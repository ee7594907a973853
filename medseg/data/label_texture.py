"""Distinguishes label maps from what is saved in their place: JPEG, antialiased or graded masks, and images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# Voxels inside of a class have an equal neighbor on either side along two axes. Of a class of a label map more than
# this fraction has, unless it is thin, and then it does not touch others with more than that fraction of its voxels.
INSIDE, TOUCHING = 0.1, 0.3
# So many scattered values, being at least so large a fraction of all, are no classes.
VALUES, FRACTION = 4, 0.5


def scattered_values(labels: npt.NDArray[np.integer]) -> tuple[int, int]:
    """How many values of a label map but 0 have no inside and touch others, and how many values there are.

    An antialiased outline, the noise that JPEG leaves around one, a graded mask and an image have many such values; a
    label map has few, however small or thin its objects are.

    - `labels`: no value below 0.
    """
    counts = np.bincount(labels.ravel())
    if np.count_nonzero(counts[1:]) < VALUES:
        return 0, int(np.count_nonzero(counts[1:]))
    filled = labels != 0
    inside = np.zeros(labels.shape, np.uint8)
    touches = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        if labels.shape[axis] < 2:
            continue
        first, second, middle = (_along(axis, part) for part in (slice(None, -1), slice(1, None), slice(1, -1)))
        equal = labels[first] == labels[second]
        other = ~equal & filled[first] & filled[second]
        touches[first] |= other
        touches[second] |= other
        inside[middle] += equal[first] & equal[second]
    within = np.bincount(labels[inside >= 2], minlength=len(counts))
    touching = np.bincount(labels[touches], minlength=len(counts))
    scattered = (counts > 0) & (within < INSIDE * counts) & (touching > TOUCHING * counts)
    return int(np.count_nonzero(scattered[1:])), int(np.count_nonzero(counts[1:]))


def is_no_label_map(scattered: int, values: int) -> bool:
    """Whether the values of a label map are too many and too scattered to be classes."""
    return scattered >= VALUES and scattered >= FRACTION * values


def _along(axis: int, part: slice) -> tuple[Any, ...]:
    """Index of a part of an array along an axis."""
    return (*([slice(None)] * axis), part)
