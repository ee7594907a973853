"""How often each value comes up in a label map."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

N_VALUES = 65536
CHUNK = 1 << 20  # counted at once: counting takes eight bytes for each voxel


def value_counts(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Count the voxels of each value; shape (65536,), of an array of uint8 or uint16.

    >>> value_counts(np.array([3, 0, 3], np.uint8))[:4]
    array([1, 0, 0, 2])
    """
    flat = array.ravel(order="K")
    counts = np.zeros(N_VALUES, np.int64)
    for first in range(0, flat.size, CHUNK):
        found = np.bincount(flat[first : first + CHUNK])
        counts[: found.size] += found
    return counts
