"""Where windows lie along an axis, and how much each counts where they overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Standard deviation of the weights as a fraction of the window: nnU-Net's, and MONAI's.
SIGMA = 1 / 8


@dataclass(frozen=True, eq=False)
class AxisWindows:
    """Windows along one axis.

    - `weights`, shape (patch,): of each window. At every voxel of the axis the weights of the windows over it sum to 1.
      The weight of a window in space is the product of its three weights, so there is no need of a count map, nor of a
      division at the end.
    """

    starts: tuple[int, ...]
    weights: tuple[npt.NDArray[np.float32], ...]


def gaussian(patch: int) -> npt.NDArray[np.float64]:
    """Bell around voxel ``patch // 2``, 1 at its top and nowhere less than what `float16` still holds, shape (patch,).

    nnU-Net keeps its weights in `float16` and lifts those that vanish there to the smallest that does not.
    """
    distance = (np.arange(patch) - patch // 2) / (SIGMA * patch)
    bell: npt.NDArray[np.float64] = np.maximum(np.exp(-(distance**2) / 2), 2.0**-24)
    return bell


def windows_along(size: int, patch: int, overlap: float) -> AxisWindows:
    """Spread windows evenly along an axis, as nnU-Net does: the fewest that overlap at least as much as asked."""
    if size < patch:
        raise ValueError(f"an axis of {size} voxels cannot hold a window of {patch}")
    # 1e-9 keeps 96 * (1 - 0.9) = 9.599...96 from asking for one window more.
    steps = math.ceil((size - patch) / max(1.0, patch * (1 - overlap)) - 1e-9)
    starts = tuple(round(i * (size - patch) / steps) for i in range(steps + 1)) if steps > 0 else (0,)
    bell = gaussian(patch)
    total = np.zeros(size)
    for start in starts:
        total[start : start + patch] += bell
    return AxisWindows(starts, tuple((bell / total[s : s + patch]).astype(np.float32) for s in starts))
