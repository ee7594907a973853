"""Where the pixels of a DICOM slice or frame lie, by its header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseg.errors import FormatLimitation, MedsegError
from medseg.io.dicom.cause import cause

# RAS+ to LPS+ and back: DICOM's world has x and y the other way round.
LPS = np.diag([-1.0, -1.0, 1.0])
# How far a pixel of a source slice may lie from its place in the label map's grid, in voxels: real positions are
# rounded to a hundredth or a tenth of a millimeter, while confused slices, axes or series are half a voxel off or more.
SLACK = 0.1


@dataclass(frozen=True, eq=False)
class Plane:
    """Where the pixels of one slice or frame lie."""

    position: npt.NDArray[np.float64]  # shape (3,): center of the first pixel, mm, LPS+ as in DICOM
    axes: npt.NDArray[np.float64]  # shape (3, 2): steps in mm, LPS+, to the next column and to the next row
    size: tuple[int, int]  # columns and rows


def planes_of(header: Dataset) -> list[tuple[int | None, Plane]]:
    """Place of each frame of an object: ``(None, plane)`` once for a single-frame one, ``(frame, plane)`` else."""
    size = (int(header.Columns), int(header.Rows))
    frames = header.get("PerFrameFunctionalGroupsSequence")
    try:
        if not frames:
            if int(header.get("NumberOfFrames") or 1) > 1:
                raise AttributeError("PerFrameFunctionalGroupsSequence")
            return [
                (None, _plane(header.ImagePositionPatient, header.ImageOrientationPatient, header.PixelSpacing, size))
            ]
        shared = header.SharedFunctionalGroupsSequence[0]
        return [
            (
                number,
                _plane(
                    functional_group(frame, shared, "PlanePositionSequence").ImagePositionPatient,
                    functional_group(frame, shared, "PlaneOrientationSequence").ImageOrientationPatient,
                    functional_group(frame, shared, "PixelMeasuresSequence").PixelSpacing,
                    size,
                ),
            )
            for number, frame in enumerate(frames)
        ]
    except MedsegError:
        raise
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise FormatLimitation(
            f"the object does not say where its pixels lie in the patient ({cause(error)})",
            fix="Use a series with image position, orientation and pixel spacing.",
        ) from error


def functional_group(frame: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """First item of a functional group: the frame's own, or the one all frames share."""
    item: Dataset = (frame[keyword] if keyword in frame else shared[keyword]).value[0]
    return item


def _plane(
    position: Sequence[float], cosines: Sequence[float], spacing: Sequence[float], size: tuple[int, int]
) -> Plane:
    rows_apart, columns_apart = (float(s) for s in spacing)
    along_row, along_column = np.asarray(cosines, dtype=np.float64).reshape(2, 3)
    axes = np.stack([along_row * columns_apart, along_column * rows_apart], axis=1)
    place = np.asarray(position, dtype=np.float64).reshape(3)
    if not (np.isfinite(axes).all() and np.isfinite(place).all()):
        raise ValueError("a position, direction or spacing that is not finite")
    return Plane(place, axes, size)
