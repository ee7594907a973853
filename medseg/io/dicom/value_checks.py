"""Whether the values of a series are what its modality promises, and all that its pixels hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.io.dicom.frame import Frame

# Rescale types of CT whose values are Hounsfield units, or may well be: unspecified, as real scanners
# write it, and none at all.
UNSPECIFIED = "US"
HOUNSFIELD = ("", "HU", "HU_MOD", UNSPECIFIED)
# Hounsfield units that a CT shows something below, and what it shows cannot be beyond; and how much it varies at least.
AIR_OR_FAT, BEYOND_HU, VARIES = 0, (-10000, 30000), 50
LOW, HIGH = 0.5, 99.5  # percentiles
MOST = 1 << 18  # voxels looked at
KINDS = {
    "ED": "electron density", "EDW": "electron density relative to water", "MGML": "density in mg/ml",
    "OD": "optical density", "PCT": "percent", "Z_EFF": "effective atomic number",
}  # fmt: skip
UNSCALED = "CT without rescale slope and intercept: its values may not be Hounsfield units"
HALF_SCALED = "CT with only one of rescale slope and intercept: its values may not be Hounsfield units"
NO_CT = "CT of unspecified units (rescale type US) with values from {:.4g} to {:.4g}, which are no Hounsfield units"
BEYOND = "{:,} pixels use bits above the {} that are stored, by the header; these bits were dropped"


def hounsfield_warnings(frames: Sequence[Frame], array: npt.NDArray[Any]) -> tuple[str, ...]:
    """Warn of a CT whose values are not Hounsfield units, by its headers or, where these leave it open, its pixels."""
    if str(frames[0].header.get("Modality")) != "CT":
        return ()
    types = {str(frame.attributes.get("RescaleType") or "").upper() for frame in frames}
    other = sorted(types - set(HOUNSFIELD))
    if other:
        named = ", ".join(f"{kind} ({KINDS[kind]})" if kind in KINDS else kind for kind in other)
        return (f"CT values are not Hounsfield units, by the header: rescale type {named}",)
    if not all(frame.is_scaled for frame in frames):
        return (UNSCALED,)
    if not all(frame.is_scaled_in_full for frame in frames):
        return (HALF_SCALED,)
    return _no_ct(array) if UNSPECIFIED in types else ()


def _no_ct(array: npt.NDArray[Any]) -> tuple[str, ...]:
    step = max(1, int(np.ceil((array.size / MOST) ** (1 / 3))))
    low, high = np.percentile(array[::step, ::step, ::step], (LOW, HIGH))
    is_ct = low < AIR_OR_FAT and high - low >= VARIES and BEYOND_HU[0] <= low and high <= BEYOND_HU[1]
    return () if is_ct else (NO_CT.format(low, high),)


def without_unused_bits(stored: npt.NDArray[Any], frame: Frame) -> tuple[npt.NDArray[Any], int]:
    """Stored values by the bits that are stored alone, and how many pixels use others.

    Bits above a value are no loss where they repeat its sign, are zero, or belong to an overlay the header describes.
    """
    bits, allocated = int(frame.header.get("BitsStored") or 0), stored.dtype.itemsize * 8
    if not 0 < bits < allocated:
        return stored, 0
    lowest, highest = int(stored.min()), int(stored.max())
    signed = stored.dtype.kind == "i"
    if highest < 1 << (bits - signed) and lowest >= (-1 << (bits - 1) if signed else 0):
        return stored, 0
    shift = allocated - bits
    kept = np.right_shift(np.left_shift(stored, shift), shift)
    above = np.right_shift(stored, bits)
    for position in overlay_bits(frame):
        if position >= bits:
            above = np.bitwise_and(above, ~np.array(1 << (position - bits)).astype(above.dtype))
    beyond = (above != 0) & ~((above == -1) & (kept < 0)) if signed else above != 0
    return kept, int(np.count_nonzero(beyond))


def overlay_bits(frame: Frame) -> list[int]:
    """Bits of each pixel that hold overlays, by the header."""
    found = [frame.header.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2)]
    return [int(element.value) for element in found if element is not None and element.value not in (None, "", 0)]
