"""Whether an image is a label map, by its values alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# An image of so few different values, all whole numbers, most of them beside an equal one, is a label map.
FEW_VALUES = 16
EQUAL_NEIGHBORS = 0.9


def looks_like_labels(channel: npt.NDArray[np.float32]) -> bool:
    """Whether values (X, Y, Z) are few, whole, and mostly beside equal ones."""
    if not np.array_equal(channel, np.rint(channel)) or len(np.unique(channel)) > FEW_VALUES:
        return False
    equal = [np.count_nonzero(np.diff(channel, axis=axis) == 0) for axis in range(3) if channel.shape[axis] > 1]
    pairs = [channel.size // n * (n - 1) for n in channel.shape if n > 1]
    return bool(pairs) and sum(equal) / sum(pairs) > EQUAL_NEIGHBORS
