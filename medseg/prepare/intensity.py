"""Brings intensities to the range a network was trained on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.prepare.card import NormalizationCard

Float32 = npt.NDArray[np.float32]
# nnU-Net's smallest divisor, which keeps a constant scan finite.
SMALLEST = 1e-8


def finite(block: npt.NDArray[Any]) -> Float32:
    """Contiguous float32 copy of some voxels in which those that are not finite are 0."""
    values = np.array(block, dtype=np.float32, order="C")
    if block.dtype.kind == "f" and not math.isfinite(float(values.sum(dtype=np.float64))):
        np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return values


def statistics(volume: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Mean and standard deviation in float64, a plane at a time so that no copy of the volume is made.

    - `volume`, shape (Z, Y, X): intensities; those that are not finite count as 0.
    - `mask`: voxels to use; without any, the mean is 0 and the deviation 1.
    """
    count, total, squares, shift = 0, 0.0, 0.0, None
    for k in range(volume.shape[0]):
        plane = finite(volume[k]) if mask is None else finite(volume[k])[mask[k]]
        if plane.size == 0:
            continue
        values = plane.astype(np.float64).ravel()
        # Sums about a value near the mean: squares of raw intensities would lose the variance to rounding.
        shift = float(values.mean()) if shift is None else shift
        values -= shift
        count += values.size
        total += float(values.sum())
        squares += float(np.dot(values, values))
    if count == 0 or shift is None:
        return 0.0, 1.0
    mean = total / count
    return shift + mean, math.sqrt(max(0.0, squares / count - mean * mean))


def filled_nonzero(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Voxels that are not 0 in every channel, holes filled (nnU-Net's mask)."""
    from scipy.ndimage import binary_fill_holes

    mask = np.zeros(array.shape[1:], dtype=bool)
    for channel in array:
        for k in range(channel.shape[0]):
            mask[k] |= finite(channel[k]) != 0
    filled: npt.NDArray[np.bool_] = binary_fill_holes(mask)
    return filled


def normalizer(
    card: NormalizationCard, volume: npt.NDArray[Any], mask: npt.NDArray[np.bool_] | None = None
) -> Callable[[Float32, slice], Float32]:
    """Function that normalizes planes of one channel in place, after what it needs to know of the whole is measured.

    - `mask`, shape (Z, Y, X): where ``nonzero_only`` with ``fill_holes`` applies.
    - returns: takes float32 planes of shape (n, Y, X) and the slice of Z they are, and returns them normalized.
    """
    if card.scheme == "none":
        return lambda planes, _: planes
    if card.scheme == "clip_zscore":
        assert card.lower is not None
        assert card.upper is not None
        assert card.mean is not None
        assert card.std is not None
        lower, upper, mean, std = card.lower, card.upper, card.mean, card.std
        return lambda planes, _: _shift(np.clip(planes, lower, upper, out=planes), mean, std)
    if card.scheme in ("rescale", "range", "percentiles"):
        low, high = _limits(card, volume)
        return lambda planes, _: _rescaled(planes, low, high, card.to, clip=card.clip)
    if card.nonzero_only:
        inside = mask if card.fill_holes else _nonzero(volume)
        assert inside is not None
        mean, std = statistics(volume, inside)

        def confined(planes: Float32, where: slice) -> Float32:
            planes[inside[where]] = _shift(planes[inside[where]], mean, std)
            return planes

        return confined
    mean, std = statistics(volume)
    return lambda planes, _: _shift(planes, mean, std)


def _limits(card: NormalizationCard, volume: npt.NDArray[Any]) -> tuple[float, float]:
    """What becomes the two numbers of ``to``."""
    if card.scheme == "range":
        return min(float(finite(plane).min()) for plane in volume), max(float(finite(plane).max()) for plane in volume)
    assert card.lower is not None
    assert card.upper is not None
    if card.scheme == "rescale":
        return card.lower, card.upper
    low, high = np.percentile(finite(volume), (card.lower, card.upper))
    return float(low), float(high)


def _nonzero(volume: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    mask = np.empty(volume.shape, dtype=bool)
    for plane, found in zip(volume, mask, strict=True):
        np.not_equal(finite(plane), 0, out=found)
    return mask


def _rescaled(planes: Float32, low: float, high: float, to: tuple[float, float], *, clip: bool) -> Float32:
    if clip:
        np.clip(planes, low, high, out=planes)
    planes = _shift(planes, low, high - low)
    if to != (0.0, 1.0):
        planes *= np.float32(to[1] - to[0])
        planes += np.float32(to[0])
    return planes


def _shift(planes: Float32, offset: float, scale: float) -> Float32:
    planes -= np.float32(offset)
    planes /= np.float32(max(scale, SMALLEST))
    return planes
