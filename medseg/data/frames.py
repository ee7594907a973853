"""Frames of 4-D NIfTI files, of which a label has some: a cine with the labels of end diastole and end systole.

Each labeled frame is a case; those of one file are of one patient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medseg.errors import InputError, MedsegError
from medseg.io import nifti
from medseg.io.intensities import as_labels
from medseg.io.nifti_header import open_header
from medseg.io.read import load_scan
from medseg.io.recognize import recognize
from medseg.types import LabelMap, LabelTable, Scan

# Frames are counted from 1, as their files are where each has one: `patient001_frame01`.
FIRST = 1


def labeled_frames(image: Path, label: Path) -> tuple[int, ...]:
    """Numbers of the frames that a label holds something of; none where the two are no cine and its labels.

    Both have the same number of volumes. Masks of classes, one a volume, hold 0 and 1 only, and few are empty.
    """
    try:
        if not all(recognize(path).kind == "nifti" for path in (image, label)):
            return ()
        counts = [open_header(path).channels for path in (image, label)]
        if counts[0] != counts[1] or counts[0] == 1:
            return ()
        volumes = nifti.read_scan(label).array
    except MedsegError:
        return ()
    filled = tuple(number for number, volume in enumerate(volumes, start=FIRST) if volume.any())
    are_classes = bool(volumes.max() > 1) or 2 * len(filled) < len(volumes)
    return filled if are_classes else ()


def image_frame(path: Path, frame: int) -> Scan:
    """Read one frame of an image.

    Raises `InputError` where it has no such frame.
    """
    scan = load_scan(path)
    _check(path, frame, scan.channels)
    return scan.with_array(scan.array[frame - FIRST : frame - FIRST + 1], scan.geometry)


def label_frame(path: Path, frame: int) -> LabelMap:
    """Read one frame of a label, as `image_frame` does."""
    scan = image_frame(path, frame)
    array = as_labels(scan.array[0], where=path)
    return LabelMap(array, scan.geometry, LabelTable.unnamed(np.unique(array)))


def _check(path: Path, frame: int, count: int) -> None:
    if not FIRST <= frame < FIRST + count:
        raise InputError(
            f"it has {count} frames, and no number {frame}", where=path, fix="Correct 'cine_frame'; it counts from 1."
        )
