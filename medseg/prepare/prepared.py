"""Brings a scan onto a network's grid and into its range of intensities.

Orient, crop, normalize, resample, pad: nnU-Net's order. Training and inference both go through `prepare`, so a network
is never shown at work what it was not shown when it learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.counted import counted
from medseg.errors import InputError, ModelError
from medseg.prepare.blockwise import fill
from medseg.prepare.card import InputCard
from medseg.prepare.intensity import filled_nonzero, normalizer
from medseg.prepare.labels import LowResolutionStage, fill_low_resolution_stage
from medseg.prepare.route import Route, plan_route
from medseg.types import Scan


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan as a network wants it.

    - `array`, shape (C, X, Y, Z): normalized intensities on the network's grid, at least one patch large. Z varies
      slowest in memory.
    - `warnings`: what may be wrong with the scan's voxels.
    """

    array: npt.NDArray[np.float32]
    route: Route
    warnings: tuple[str, ...] = ()


# What `prepare` is; a composite has one that remembers.
Preparation = Callable[[Scan, InputCard, Route, LowResolutionStage | None], Prepared]


IN_FILES = (
    "Give them as one file in that order, as files named after them in a folder a case, as CASE_0000, CASE_0001, ..., "
    "as DICOM series of one study, or in a table."
)
IN_MEMORY = "Give an array of four axes with the channels first, in that order: (C, X, Y, Z)."


def check_channels(scan: Scan, card: InputCard) -> None:
    """Refuse a scan with another number of channels than the network has."""
    if scan.channels != len(card.channels):
        names = ", ".join(channel.name for channel in card.channels)
        raise ModelError(
            f"the scan has {counted(scan.channels, 'channel')}, the model needs {len(card.channels)} ({names})",
            fix=IN_MEMORY if scan.source.format == "array" else IN_FILES,
        )


def prepare(
    scan: Scan, card: InputCard, route: Route | None = None, low_resolution_stage: LowResolutionStage | None = None
) -> Prepared:
    """Bring a scan onto a network's grid and into its range of intensities.

    A scan smaller than the network's patch is surrounded by 0 after normalization, half before and half after, as
    nnU-Net does. Peak memory is that of the result and, per channel, of the source at the result's x and y size.

    - `low_resolution_stage`: in a cascade, what the low-resolution stage found; it becomes channels after the scan's.
    """
    check_channels(scan, card)
    route = plan_route(scan, card) if route is None else route
    x, y, z = route.padded_size
    # Z slowest: the order of NIfTI and of DICOM slices, so that most scans are read straight through.
    extra = 0 if low_resolution_stage is None else len(low_resolution_stage.values)
    result = np.zeros((scan.channels + extra, z, y, x), dtype=np.float32)
    inner = result[(slice(None), *route.inner[::-1])]
    boxed = route.order.apply(scan.array)[(slice(None), *route.box.slices)].transpose(0, 3, 2, 1)
    separate = None if route.separate is None else 2 - route.separate
    warnings = _bad_voxels(boxed)
    after = card.normalize_after_resampling
    mask = None if after else _mask(card, boxed)
    for channel, volume, target in zip(card.channels, boxed, inner[: scan.channels], strict=True):
        normalize = _unchanged if after else normalizer(channel.normalization, volume, mask)
        fill(target, volume, normalize, card.resampling.order, separate, route.steps[::-1])
    if after:
        _normalize(inner[: scan.channels], card)
    for channel, target in zip(card.channels, inner[: scan.channels], strict=True):
        if not np.isfinite(target.sum(dtype=np.float64)):
            raise InputError(
                f"intensities of channel {channel.name} are too large for float32",
                fix="Look at the scan's values and its header's slope and intercept.",
            )
    if low_resolution_stage is not None:
        outside = ~filled_nonzero(boxed) if card.crop_to_nonzero else None
        fill_low_resolution_stage(inner[scan.channels :], low_resolution_stage, route, separate, outside)
    return Prepared(result.transpose(0, 3, 2, 1), route, warnings)


def _normalize(channels: npt.NDArray[np.float32], card: InputCard) -> None:
    """Normalize channels of shape (C, Z, Y, X) where they are, plane by plane."""
    mask = _mask(card, channels)
    for channel, volume in zip(card.channels, channels, strict=True):
        normalize = normalizer(channel.normalization, volume, mask)
        for k in range(len(volume)):
            volume[k : k + 1] = normalize(np.ascontiguousarray(volume[k : k + 1]), slice(k, k + 1))


def _mask(card: InputCard, channels: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
    """Voxels that count for channels normalized on nonzero voxels with holes filled, None where none is."""
    wanted = any(channel.normalization.nonzero_only and channel.normalization.fill_holes for channel in card.channels)
    return filled_nonzero(channels) if wanted else None


def _unchanged(planes: npt.NDArray[np.float32], _where: slice) -> npt.NDArray[np.float32]:
    return planes


def _bad_voxels(array: npt.NDArray[Any]) -> tuple[str, ...]:
    if array.dtype.kind != "f":
        return ()
    bad = sum(int(np.count_nonzero(~np.isfinite(plane))) for channel in array for plane in channel)
    if not bad:
        return ()
    fraction = bad / array.size
    return (f"{bad} voxels ({fraction:.2g} of the scan) are not finite numbers and were taken as 0.",)
