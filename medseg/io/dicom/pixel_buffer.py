"""The array that slices are put into: in the smallest type that holds them, with padding darkened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.io.dicom.frame import Frame

PADDED_NOTE = "{:,} pixels marked as padding, brighter than the darkest real one, were set to that one's value"


@dataclass
class PixelBuffer:
    """The array being filled, slices first, in the smallest type that has held everything so far."""

    slices: npt.NDArray[Any]
    lowest: float = np.inf
    padding: list[tuple[int, float, float]] = field(default_factory=list)

    def put(self, k: int, stored: npt.NDArray[Any], frame: Frame) -> None:
        """Turn stored into real values, at their place, widening the whole array where they do not fit."""
        low, high = int(stored.min()), int(stored.max())
        ends = sorted((low * frame.slope + frame.intercept, high * frame.slope + frame.intercept))
        if self.slices.dtype.kind == "i":
            self._make_room(*ends)
        plane = self.slices[k]
        if plane.dtype.kind == "i":
            # Whole-number arithmetic that wraps around is right wherever its result fits, as it does here.
            values = stored.astype(plane.dtype, copy=False)
            if frame.slope != 1:
                values = np.multiply(values, np.int64(frame.slope).astype(plane.dtype))
            np.add(values, np.int64(frame.intercept).astype(plane.dtype), out=plane)
        else:
            plane[...] = stored * np.float64(frame.slope) + frame.intercept
        self._note_padding(k, stored, frame, (low, high), ends[0])

    def _make_room(self, low: float, high: float) -> None:
        limits = np.iinfo(self.slices.dtype)
        if low < limits.min or high > limits.max:
            wide = np.iinfo(np.int32)
            fits = wide.min <= low and high <= wide.max
            self.slices = self.slices.astype(np.int32 if fits else np.float32)

    def _note_padding(
        self, k: int, stored: npt.NDArray[Any], frame: Frame, reach: tuple[int, int], lowest: float
    ) -> None:
        padding = _padding(frame)
        if padding is not None and padding[0] <= reach[1] and padding[1] >= reach[0]:
            inside = (stored >= padding[0]) & (stored <= padding[1])
            if inside.any():
                ends = sorted(p * frame.slope + frame.intercept for p in padding)
                self.padding.append((k, ends[0], ends[1]))
                if inside.all():
                    return
                lowest = float(self.slices[k][~inside].min())
        self.lowest = min(self.lowest, lowest)

    def darken_padding(self) -> tuple[str, ...]:
        """Set padding brighter than the darkest real pixel to that one; darker padding does no harm and stays."""
        if not np.isfinite(self.lowest):
            return ()
        changed = 0
        for k, low, high in self.padding:
            if high <= self.lowest:
                continue
            plane = self.slices[k]
            inside = (plane >= low) & (plane <= high)
            changed += int(np.count_nonzero(inside & (plane != self.lowest)))
            plane[inside] = self.lowest
        return (PADDED_NOTE.format(changed),) if changed else ()


def _padding(frame: Frame) -> tuple[int, int] | None:
    """Lowest and highest stored value that mark a pixel outside the image, in the signedness of the pixels."""
    value = frame.header.get("PixelPaddingValue")
    if value is None or value == "":
        return None
    ends = [_as_stored(int(value), frame)]
    limit = frame.header.get("PixelPaddingRangeLimit")
    if limit is not None and limit != "":
        ends.append(_as_stored(int(limit), frame))
    return min(ends), max(ends)


def _as_stored(value: int, frame: Frame) -> int:
    """Undo a padding value written with the wrong sign, which scanners do."""
    span = 1 << int(frame.header.get("BitsAllocated") or 16)
    if int(frame.header.get("PixelRepresentation") or 0):
        return value - span if value >= span // 2 else value
    return value + span if value < 0 else value
