"""A network's last layer, where it is worth computing apart: it makes many classes of few features.

Scores of a window of 128 x 128 x 128 voxels for 118 classes are a gigabyte, and the 32 features that they are made of a
quarter of it. What adds windows makes the scores of a few planes at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OutputLayer:
    """A weighted sum of features in each voxel by itself, as a convolution of one voxel computes it.

    - `weights`, shape (K, F), and `bias`, shape (K,).
    """

    weights: Float32
    bias: Float32

    def scores(self, features: Float32) -> Float32:
        """Return scores, shape (K, ...), of features, shape (F, ...)."""
        flat = self.weights @ features.reshape(len(features), -1)
        flat += self.bias[:, None]
        return flat.reshape(len(flat), *features.shape[1:])
