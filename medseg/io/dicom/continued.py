"""Volumes of several series that lie as one: a scan of which some images got another series UID."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.io.dicom.completeness import fills_gap, goes_on
from medseg.io.dicom.frame import Frame
from medseg.io.dicom.volume import Volume

CONTINUED = (
    "Images of another series UID with the same series number lie where it would go on, or in a gap of it: one series "
    "may have been cut in two"
)


@dataclass(frozen=True, eq=False)
class Stretch:
    """Where a volume lies, and what it shares with one that continues it."""

    mark: Hashable
    series: str
    positions: npt.NDArray[np.float64]  # (N, 3), in the order of their places


def stretch_of(volume: Volume, positions: npt.NDArray[np.float64], series: str) -> Stretch | None:
    """Where a volume lies; None where it has no series number, or is of an enhanced object."""
    first: Frame = volume.frames[0]
    get = first.header.get
    if first.index is not None or not len(positions) or get("SeriesNumber") in (None, ""):
        return None
    keywords = (
        "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "Modality", "SeriesNumber",
        "SeriesDescription", "EchoTime", "EchoNumbers", "TemporalPositionIdentifier",
    )  # fmt: skip
    directions = tuple(round(float(v), 2) for v in first.orientation or ())
    spacing = tuple(round(s, 4) for s in first.pixel_spacing or ())
    shared = (*(str(get(keyword) or "") for keyword in keywords), first.rows, first.columns, spacing, directions)
    return Stretch((first.file.parent, first.image_type, *shared), series, positions)


def continued(stretches: Sequence[Stretch | None]) -> list[bool]:
    """For each volume, whether one of another series continues it or fills a gap of it."""
    by_mark: dict[Hashable, list[int]] = {}
    for number, stretch in enumerate(stretches):
        if stretch is not None:
            by_mark.setdefault(stretch.mark, []).append(number)
    found = [False] * len(stretches)
    for members in by_mark.values():
        for one in members:
            for other in members:
                left, right = stretches[one], stretches[other]
                if left is None or right is None or left.series == right.series:
                    continue
                if goes_on(left.positions, right.positions) or fills_gap(left.positions, right.positions):
                    found[one] = found[other] = True
    return found
