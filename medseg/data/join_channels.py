"""Joins the scans of a case's channels into one scan on the grid of the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.data.same_grid import SHIFTED, drifts_little
from medseg.errors import GeometryMismatch
from medseg.types import Scan

RESAMPLED = "channel-resampled"
PARTLY = "channel-coverage"
# Of the first channel's grid, less than which another channel is said not to cover.
COVERED = 0.9
EDGE = 1e-3  # voxels, of rounding


def join_channels(
    scans: Sequence[Scan], paths: Sequence[Path], *, resample: bool
) -> tuple[Scan, tuple[tuple[str, str], ...]]:
    """All channels as one scan, and what was done to have them on one grid: kinds and messages.

    - `paths`: what each is called in messages.
    - `resample`: whether scans on other grids are brought onto the first one's; otherwise they are a
      `GeometryMismatch`, but for what drifts by less than a tenth of a voxel. Other frames of reference, and scans that
      overlap nowhere, always are one; of a scan that covers less than nine tenths of the first a note says so.
    """
    first = scans[0]
    arrays = [first.array]
    notes: list[tuple[str, str]] = []
    for path, scan in zip(paths[1:], scans[1:], strict=True):
        if first.geometry.matches(scan.geometry):
            arrays.append(scan.array)
        elif drifts_little(first.geometry, scan.geometry):
            off = first.geometry.difference(scan.geometry) / min(first.geometry.spacing)
            notes.append((SHIFTED, f"{path.name} lies {off:.2g} voxels beside the first channel; taken as equal."))
            arrays.append(scan.array)
        elif resample:
            _check_frames(first, scan, path)
            fraction = _coverage(first, scan)
            if fraction == 0:
                raise GeometryMismatch(
                    f"the channel overlaps nowhere with {paths[0].name}, the first",
                    where=path,
                    fix="Give scans of one place of one patient, or register one onto the other and use the result.",
                )
            if fraction < COVERED:
                shown = f"{fraction:.0%}" if fraction >= 0.01 else "less than 1%"
                text = f"{path.name} covers only {shown} of the grid of {paths[0].name}; the rest is filled."
                notes.append((PARTLY, text))
            spacing = " x ".join(f"{mm:.3g}" for mm in scan.geometry.spacing)
            notes.append((RESAMPLED, f"{path.name} ({spacing} mm) was resampled onto the grid of {paths[0].name}."))
            arrays.append(onto_grid(scan, first))
        else:
            first.geometry.match(scan.geometry, what="the channels", where=path)
    joined = first if len(arrays) == 1 else first.with_array(np.concatenate(arrays), first.geometry)
    return joined, tuple(notes)


def _check_frames(first: Scan, other: Scan, where: Path) -> None:
    frames = [scan.source.frame_of_reference_uid for scan in (first, other)]
    if None not in frames and frames[0] != frames[1]:
        raise GeometryMismatch(
            "the channels are in different frames of reference, so that their places cannot be compared",
            where=where,
            fix="Register one onto the other and use the result.",
        )


def _coverage(first: Scan, other: Scan) -> float:
    """Fraction of the first scan's voxels whose centers lie within those of another's."""
    to_other = np.linalg.inv(other.geometry.affine) @ first.geometry.affine
    along = [np.arange(size) for size in first.geometry.shape]
    most = np.array(other.geometry.shape) - 1
    inside = 0
    for x in along[0]:  # a slice at a time, which a whole grid's places would not fit in memory beside
        within = np.ones(first.geometry.shape[1:], bool)
        for row, last in zip(to_other[:3], most, strict=True):
            place = row[0] * x + row[3] + row[1] * along[1][:, None] + row[2] * along[2][None, :]
            within &= (place >= -EDGE) & (place <= last + EDGE)
        inside += int(within.sum())
    return float(inside / first.array[0].size)


def onto_grid(scan: Scan, target: Scan) -> npt.NDArray[np.float32]:
    """Resample a scan linearly onto another's grid.

    Voxels of the target that lie outside the scan get its smallest value, which is air in CT and nothing in PET.

    - returns, shape (C, *target)
    """
    from scipy.ndimage import affine_transform

    to_scan = np.linalg.inv(scan.geometry.affine) @ target.geometry.affine
    channels: list[Any] = [
        affine_transform(
            channel.astype(np.float32),
            to_scan[:3, :3],
            to_scan[:3, 3],
            output_shape=target.geometry.shape,
            order=1,
            mode="constant",
            cval=float(channel.min()),
        )
        for channel in scan.array
    ]
    return np.stack(channels)
