"""A network's last layer, where it is computed apart, as it makes many classes of few features.

Scores of a window of 128 x 128 x 128 voxels for 118 classes are a gigabyte, and the 32 features that they are made of a
quarter of it. What adds windows makes the scores plane by plane.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


class OutputLayer(Protocol):
    """Makes scores of the features of each voxel by itself."""

    features: int
    """Channels that it is given."""

    def scores(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return scores, shape (K, Y, Z), of a plane of a window's features, shape (F, Y, Z), until the next call."""
        ...


def scores_of_window(features: npt.NDArray[np.float32], layer: OutputLayer) -> npt.NDArray[np.float32]:
    """Return scores, shape (K, X, Y, Z), of all of a window's features, shape (F, X, Y, Z)."""
    return np.stack([layer.scores(features[:, x]).copy() for x in range(features.shape[1])], axis=1)
