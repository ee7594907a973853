"""Decodes the slices of a volume, one at a time, straight into its array."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import iter_pixels

from medseg.errors import InputError
from medseg.io.dicom_frame import Frame
from medseg.io.limits import check_size

__all__ = ["read_pixels"]

# int16 holds nearly every CT and MR. Whole numbers it does not hold are kept in int32, fractions in float32.
WHOLE = np.int16
PADDED_NOTE = "{:,} pixels marked as padding, brighter than the darkest real one, were set to that one's value"


@dataclass
class _Buffer:
    """The array being filled, slices first, in the smallest type that has held everything so far."""

    slices: npt.NDArray[Any]
    lowest: float = np.inf
    padding: list[tuple[int, float, float]] = field(default_factory=list)

    def put(self, k: int, values: npt.NDArray[Any]) -> None:
        """Store a slice, widening the whole array where it does not fit."""
        if self.slices.dtype.kind == "i":
            low, high = values.min(), values.max()
            limits = np.iinfo(self.slices.dtype)
            if low < limits.min or high > limits.max:
                wide = np.iinfo(np.int32)
                fits = wide.min <= low and high <= wide.max
                self.slices = self.slices.astype(np.int32 if fits else np.float32)
        self.slices[k] = values


def read_pixels(frames: Sequence[Frame], where: object) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Decode frames and turn stored into real values, each with its own slope and intercept.

    MONOCHROME1 concerns display alone: values are kept as they are.

    Parameters
    ----------
    frames : sequence of Frame
        In the order of the third axis.
    where : object
        Named in errors.

    Returns
    -------
    array : ndarray, shape (X, Y, Z)
        int16 where it holds all values, else int32; float32 where a slope makes fractions.
    notes : tuple of str
        What the user should know.

    Raises
    ------
    InputError
        When a slice cannot be decoded or is not of the size its header says.
    ResourceLimit
        When the volume is larger than this machine can hold.
    """
    first = frames[0]
    whole = all(float(f.slope).is_integer() and float(f.intercept).is_integer() for f in frames)
    dtype: type[np.generic] = WHOLE if whole else np.float32
    shape = (len(frames), first.rows, first.columns)
    check_size(shape, np.dtype(dtype).itemsize, where=where)
    for frame in frames:
        _check_kind(frame)
    buffer = _Buffer(np.empty(shape, dtype=dtype))
    for k, stored in _decode(frames):
        frame = frames[k]
        if stored.shape != (first.rows, first.columns):
            raise InputError(
                f"its pixels are {stored.shape}, not the {first.rows} x {first.columns} of its header", where=frame.file
            )
        if stored.dtype.kind not in "iu":
            raise InputError(f"its pixels are {stored.dtype}, not whole numbers", where=frame.file)
        values = _real(stored, frame, whole)
        padding = _padding(frame)
        if padding is not None:
            inside = (stored >= padding[0]) & (stored <= padding[1])
            if inside.any():
                ends = sorted(float(frame.slope * p + frame.intercept) for p in padding)
                buffer.padding.append((k, ends[0], ends[1]))
                values_left = values[~inside]
                buffer.lowest = min(buffer.lowest, float(values_left.min())) if values_left.size else buffer.lowest
                buffer.put(k, values)
                continue
        buffer.lowest = min(buffer.lowest, float(values.min()))
        buffer.put(k, values)
    return buffer.slices.transpose(2, 1, 0), _darken_padding(buffer)


def _check_kind(frame: Frame) -> None:
    get = frame.header.get
    if int(get("SamplesPerPixel") or 1) != 1 or str(get("PhotometricInterpretation")) not in (
        "MONOCHROME1",
        "MONOCHROME2",
    ):
        raise InputError(
            f"its pixels are colour ({get('PhotometricInterpretation')})",
            where=frame.file,
            fix="Use the original series.",
        )
    if "ModalityLUTSequence" in frame.header:
        raise InputError(
            "its values come from a look-up table, not slope and intercept",
            where=frame.file,
            fix="Export the series with rescale slope and intercept.",
        )


def _decode(frames: Sequence[Frame]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Stored values (rows, columns) of each frame, with its place; multi-frame files are opened once."""
    singles = [k for k, frame in enumerate(frames) if frame.index is None]
    for k in singles:
        with _decoding(frames[k].file):
            stored = pydicom.dcmread(frames[k].file, force=True).pixel_array
        yield k, stored
    by_file: dict[Path, list[int]] = {}
    for k, frame in enumerate(frames):
        if frame.index is not None:
            by_file.setdefault(frame.file, []).append(k)
    for path, members in by_file.items():
        with _decoding(path):
            pixels = iter_pixels(path, indices=[frames[k].index for k in members])
            for k in members:
                yield k, next(pixels)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged pixels into one error, and keep its warnings to itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise InputError(
            f"its pixels cannot be decoded ({' '.join(str(error).split())[:160]})",
            where=path,
            fix="Get it again from the archive, uncompressed if possible.",
        ) from error


def _real(stored: npt.NDArray[Any], frame: Frame, whole: bool) -> npt.NDArray[Any]:
    """Stored values times slope plus intercept."""
    if frame.slope == 1 and frame.intercept == 0:
        return stored
    if whole:
        return stored.astype(np.int64 if abs(frame.slope) > 2**14 or stored.dtype.itemsize > 2 else np.int32) * int(
            frame.slope
        ) + int(frame.intercept)
    return stored * frame.slope + frame.intercept


def _padding(frame: Frame) -> tuple[int, int] | None:
    """Lowest and highest stored value that mark a pixel outside the image, in the signedness of the pixels."""
    value = frame.header.get("PixelPaddingValue")
    if value is None or isinstance(value, (bytes, str)):
        return None
    ends = [_as_stored(int(value), frame)]
    limit = frame.header.get("PixelPaddingRangeLimit")
    if limit is not None and not isinstance(limit, (bytes, str)):
        ends.append(_as_stored(int(limit), frame))
    return min(ends), max(ends)


def _as_stored(value: int, frame: Frame) -> int:
    """Undo a padding value written with the wrong sign, which scanners do."""
    span = 1 << int(frame.header.get("BitsAllocated") or 16)
    if int(frame.header.get("PixelRepresentation") or 0):
        return value - span if value >= span // 2 else value
    return value + span if value < 0 else value


def _darken_padding(buffer: _Buffer) -> tuple[str, ...]:
    """Set padding that is brighter than the darkest real pixel to that one; darker padding harms nobody and stays."""
    if not np.isfinite(buffer.lowest):
        return ()
    changed = 0
    for k, low, high in buffer.padding:
        if high <= buffer.lowest:
            continue
        plane = buffer.slices[k]
        inside = (plane >= low) & (plane <= high)
        changed += int(np.count_nonzero(inside & (plane != buffer.lowest)))
        plane[inside] = buffer.lowest
    return (PADDED_NOTE.format(changed),) if changed else ()
