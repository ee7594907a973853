"""What computes a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


class Engine(Protocol):
    """A network ready to run on some device; weights are loaded once, when it is made."""

    name: str
    """For logs and ``run.json``, for instance ``"torch 2.13 cpu float32"``."""

    working_bytes: int
    """Memory in bytes it takes while it computes one window, weights and scores not counted."""

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores.

        - `windows`, shape (N, C, X, Y, Z): C-contiguous. For a network of two dimensions Z is 1.
        - returns, shape (N, K, X, Y, Z): before softmax. May be memory the next call writes again: whoever keeps scores
          copies them.
        """
        ...
