"""The one rule for which intensities are drawn black and white: soft tissue for CT, percentiles for all else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SOFT_TISSUE = (-160.0, 240.0)  # HU
PERCENTILES = (1, 99.5)
SAMPLE = 64  # voxels along each axis that percentiles are taken of


def gray_window(image: npt.NDArray[Any], modality: str | None) -> tuple[float, float]:
    """Intensities drawn black and white, of an image of shape (..., X, Y, Z)."""
    if modality == "CT":
        return SOFT_TISSUE
    places = np.ix_(*(sampled(size) for size in image.shape[-3:]))
    everything: tuple[Any, ...] = (..., *places)
    sample = image[everything].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample, PERCENTILES))
    return low, high if high > low else low + 1.0


def sampled(size: int) -> npt.NDArray[np.intp]:
    """Places along an axis that a window is taken of: the same ones from either end."""
    return np.linspace(0, size - 1, min(size, SAMPLE)).round().astype(np.intp)


def gray_levels(image: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Intensities as 0 (black) to 255 (white); what is not finite is black or white."""
    low, high = window
    levels = np.nan_to_num(np.clip((image.astype(np.float32) - low) / (high - low), 0, 1) * 255)
    gray: npt.NDArray[np.uint8] = levels.astype(np.uint8)
    return gray
