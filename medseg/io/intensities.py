"""Which numbers may stand for intensities and for labels, whatever file they came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.types.labels import smallest_label_dtype

PIECE = 1 << 20


def as_intensities(
    array: npt.NDArray[Any], slope: float = 1.0, intercept: float = 0.0, *, where: object
) -> npt.NDArray[Any]:
    """Apply slope and intercept; whole numbers stay whole where there are none, all else becomes float32.

    NaN and infinity, which a network turns into a wrong mask everywhere, are an `InputError`, as complex and color
    values are.
    """
    if array.dtype.kind == "c":
        raise InputError(
            "its voxels are complex numbers", where=where, fix="Write magnitude (and phase) as scans of their own."
        )
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"its voxels are not plain numbers ({array.dtype})",
            where=where,
            fix="Write it with one number for each voxel; color as a fourth dimension.",
        )
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if (slope, intercept) != (1.0, 0.0):
        array = _scaled(array, slope, intercept)
    elif array.dtype.kind == "f" and array.dtype != np.float32:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
    if array.dtype.kind == "f" and array.size and not np.isfinite([array.min(), array.max()]).all():
        raise InputError(
            f"{np.count_nonzero(~np.isfinite(array)):,} voxels are NaN or infinite",
            where=where,
            fix="Replace them, for instance with numpy.nan_to_num, and save the scan again.",
        )
    return array


def _scaled(array: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[np.float32]:
    """Compute in float64, piece by piece, so that large integers keep their precision on the way to float32."""
    if not array.flags.forc:
        array = np.ascontiguousarray(array)
    scaled = np.empty_like(array, dtype=np.float32)
    flat_in, flat_out = array.reshape(-1, order="A"), scaled.reshape(-1, order="A")
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, array.size, PIECE):
            piece = slice(start, start + PIECE)
            flat_out[piece] = flat_in[piece] * np.float64(slope) + intercept
    return scaled


def as_labels(array: npt.NDArray[Any], *, where: object) -> npt.NDArray[Any]:
    """Label values as uint8 or uint16, whichever is the smaller that fits."""
    if array.dtype.kind not in "iufb":
        raise InputError(
            f"labels must be whole numbers, not {array.dtype}", where=where, fix="Save class numbers from 0 to 65535."
        )
    lowest, highest = (array.min(), array.max()) if array.size else (0, 0)
    if not (np.isfinite(lowest) and np.isfinite(highest)) or lowest < 0 or highest > 65535:
        raise InputError(
            f"labels must lie between 0 and 65535, not between {lowest} and {highest}",
            where=where,
            fix="Give the file with the label map, not the scan or the probabilities.",
        )
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise InputError(
            "labels must be whole numbers; these are fractions",
            where=where,
            fix="Give the file with the label map, not the scan; threshold a map of probabilities first.",
        )
    return array.astype(smallest_label_dtype(int(highest)), copy=False)
