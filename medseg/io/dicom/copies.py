"""Finds further files with the same DICOM object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medseg.errors import MedsegError
from medseg.io.dicom.frame import Frame
from medseg.types.scan import Skipped


def without_copies(frames: Sequence[Frame], shown: Mapping[Path, Path]) -> tuple[list[Frame], list[Skipped]]:
    """Drop further files with the same object; objects that share a UID and differ stay, to be rejected or placed."""
    by_uid: dict[tuple[str, int | None], list[Frame]] = {}
    distinct: list[Frame] = []
    copies: list[Skipped] = []
    for frame in frames:
        twins = by_uid.setdefault((frame.sop_uid, frame.index), [])
        original = next((twin for twin in twins if frame.sop_uid and _same_object(twin, frame)), None)
        if original is None:
            twins.append(frame)
            distinct.append(frame)
        elif frame.index in (None, 0):
            copies.append(Skipped(frame.file, f"it is a copy of {shown[original.file]}"))
    return distinct, copies


def _same_object(one: Frame, other: Frame) -> bool:
    """Whether two files with one SOP instance UID hold the same image in the same place."""
    grids = [
        (frame.position, frame.orientation, frame.pixel_spacing, frame.rows, frame.columns) for frame in (one, other)
    ]
    if grids[0] != grids[1]:
        return False
    return _same_bytes(one.file, other.file) or _same_pixels(one, other)


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    return one.read_bytes() == other.read_bytes()


def _same_pixels(one: Frame, other: Frame) -> bool:
    """Whether two files that differ, say by a patient name put right, show the same values."""
    from medseg.io.dicom.pixels import read_pixels

    try:
        left, right = (read_pixels([frame], where=frame.file).array for frame in (one, other))
        return np.array_equal(left, right)
    except MedsegError:
        return False
