"""Marker-controlled watershed: every voxel of a mask goes to the seed the flood reaches it from first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.segmentation import watershed


def flood(relief: npt.NDArray[Any], seeds: npt.NDArray[np.int32], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Flood a relief from its seeds, to all 26 neighbors.

    - `relief`, shape (X, Y, Z): low ground is flooded first.
    - `seeds`, shape (X, Y, Z): 1 to N; 0 elsewhere.
    - `mask`, shape (X, Y, Z): where the flood may go.
    - returns, shape (X, Y, Z): the seed each voxel of the mask belongs to.
    """
    # scikit-image gives the seeds back unflooded when they are laid out in Fortran order.
    flooded = watershed(
        np.ascontiguousarray(relief),
        np.ascontiguousarray(seeds),
        mask=np.ascontiguousarray(mask),
        connectivity=relief.ndim,
    )
    return np.asarray(flooded, np.int32)
