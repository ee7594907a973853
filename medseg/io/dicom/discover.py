"""Groups DICOM files into series and series into volumes, and says what the other DICOM files are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, MediaStorageDirectoryStorage

from medseg.errors import MedsegError
from medseg.io.dicom.completeness import missing, positions_of, split_off
from medseg.io.dicom.continued import CONTINUED, Stretch, continued, stretch_of
from medseg.io.dicom.frame import Frame, frames_of
from medseg.io.dicom.header import LABEL_CLASSES, lenient, read_header
from medseg.io.dicom.packed_series import PackedSeries
from medseg.io.dicom.scattered import rejoined
from medseg.io.dicom.volume import Volume
from medseg.io.dicom.volumes import sort_into_volumes
from medseg.io.files.case_id import dicom_case_id
from medseg.io.files.walk import Entry, absolute
from medseg.isolation.boundary import attempt
from medseg.isolation.each import each_isolated
from medseg.isolation.process import Guard
from medseg.types.scan import FoundScan, Skipped

# Storage classes whose images can make a volume in the patient (PS3.4 annex B).
VOLUMES = {
    "1.2.840.10008.5.1.4.1.1.2",  # CT
    "1.2.840.10008.5.1.4.1.1.2.1",  # enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # legacy converted enhanced CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.4.1",  # enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4",  # legacy converted enhanced MR
    "1.2.840.10008.5.1.4.1.1.128",  # PET
    "1.2.840.10008.5.1.4.1.1.130",  # enhanced PET
    "1.2.840.10008.5.1.4.1.1.128.1",  # legacy converted enhanced PET
    "1.2.840.10008.5.1.4.1.1.13.1.1",  # X-ray 3D angiographic
    "1.2.840.10008.5.1.4.1.1.13.1.2",  # X-ray 3D craniofacial
}
FEW = 3
# Of the angle between slices of a localizer: 20 degrees or more.
LOCALIZER_COSINE = 0.94
UNREADABLE = "an image of its series has a header that cannot be read"


def find_volumes(
    entries: Sequence[Entry], guard: Guard | None = None
) -> tuple[list[FoundScan], list[Skipped], list[Path]]:
    """Sort DICOM files into volumes by header; return them, all other files, and those that are SEG or RTSTRUCT.

    With limits, headers are read in a process of their own, where one that takes too long is stopped.
    """
    with lenient():
        return _find_volumes(entries, guard or Guard())


@dataclass(frozen=True)
class _Looked:
    """What the header of a file says of it."""

    series: str = ""
    frames: tuple[Frame, ...] = ()
    aside: tuple[str, str | None] | None = None  # why it is part of no volume, and what to do about it
    holds_labels: bool = False
    strangers: tuple[Frame, ...] = ()  # of an image that is part of no volume, and lies somewhere in the patient
    error: MedsegError | None = None  # of frames whose series is known


@lenient()
def _look(path: Path) -> _Looked:
    header = read_header(path)
    aside = _not_a_volume(header.elements)
    series = str(header.elements.get("SeriesInstanceUID"))
    if aside is not None:
        holds_labels = str(header.elements.get("SOPClassUID")) in LABEL_CLASSES
        if holds_labels or "ImagePositionPatient" not in header.elements:
            return _Looked(series, aside=aside, holds_labels=holds_labels)
        strangers = attempt(frames_of, header)
        return _Looked(series, aside=aside, strangers=() if isinstance(strangers, MedsegError) else tuple(strangers))
    frames = attempt(frames_of, header)
    if isinstance(frames, MedsegError):
        return _Looked(series, error=frames)
    return _Looked(series, tuple(frames))


def _find_volumes(entries: Sequence[Entry], guard: Guard) -> tuple[list[FoundScan], list[Skipped], list[Path]]:
    label_objects: list[Path] = []
    skipped: list[Skipped] = []
    series = PackedSeries()
    strangers: dict[str, list[Frame]] = {}  # by series
    unreadable: set[str] = set()  # series of images with headers that cannot be read
    named = {entry.path for entry in entries if entry.is_named}
    shown = {entry.path: entry.shown for entry in entries}
    paths = [entry.path for entry in entries]
    looked: Iterable[tuple[Path, _Looked | MedsegError]] = (
        ((path, attempt(_look, path)) for path in paths) if guard == Guard() else each_isolated(_look, paths, guard)
    )
    for path, one in looked:
        error = one if isinstance(one, MedsegError) else one.error
        if isinstance(one, _Looked) and one.holds_labels:
            label_objects.append(path)
        if error is not None:
            skipped.append(Skipped.for_error(path, error))
            if isinstance(one, _Looked):
                unreadable.add(one.series)
        elif isinstance(one, _Looked) and one.aside is not None:
            if one.strangers:
                strangers.setdefault(one.series, []).extend(one.strangers)
            # What can be fixed should have been a scan; the rest is something else.
            skipped.append(Skipped(path, *one.aside, corrupt=path in named or one.aside[1] is not None))
        elif isinstance(one, _Looked):
            series.add(one.series, one.frames)
    found: list[FoundScan] = []
    stretches: list[Stretch | None] = []
    for uid, members in chain(rejoined(series.alone()).items(), series.several()):
        distinct, copies = _without_copies(members, shown)
        skipped += copies
        volumes = attempt(sort_into_volumes, distinct)
        if isinstance(volumes, MedsegError):
            files = dict.fromkeys(frame.file for frame in distinct)
            skipped += [Skipped.for_error(path, volumes) for path in files]
            continue
        kept = []
        for volume in volumes:
            reason = _not_a_scan(volume, volumes)
            if reason is None:
                kept.append(volume)
            else:
                skipped += [Skipped(path, *reason, corrupt=path in named) for path in _files(volume)]
        others = [Volume(tuple(strangers[uid]))] if uid in strangers else []
        for volume in kept:
            lost = split_off(volume, [*volumes, *others]) or (UNREADABLE if uid in unreadable else None)
            scan = _found(uid, volume, several=len(volumes) > 1)
            found.append(replace(scan, warnings=missing(volume, distinct), incomplete=lost))
            placed = volume.frames[0].is_placed
            stretches.append(stretch_of(volume, positions_of(volume.frames), uid) if placed else None)
    found = [
        replace(scan, warnings=(*scan.warnings, CONTINUED)) if goes_on else scan
        for scan, goes_on in zip(found, continued(stretches), strict=True)
    ]
    taken = {path for scan in found for path in scan.files}
    return found, [left for left in skipped if left.path not in taken], label_objects


def _not_a_volume(header: Dataset) -> tuple[str, str | None] | None:
    """Why an object cannot be part of a volume, and what to do about it."""
    sop_class = str(header.get("SOPClassUID") or "")
    if MediaStorageDirectoryStorage in (sop_class, header.file_meta.get("MediaStorageSOPClassUID")):
        return "it is a DICOMDIR; the files it lists are looked at one by one", None
    if not sop_class:
        return "it is a DICOM file that does not say what it is (no SOP class)", "Export the series again."
    if sop_class not in VOLUMES:
        name = UID(sop_class).name if UID(sop_class).is_valid else "unknown object"
        return f"DICOM, but not a volume: {name.removesuffix(' Storage')}", None
    if not header.get("SeriesInstanceUID"):
        return "it does not say to which series it belongs", "Export the series again."
    if int(header.get("SamplesPerPixel") or 1) != 1:
        return "it is a color image, not a scan", None
    return None


def _not_a_scan(volume: Volume, volumes: Sequence[Volume]) -> tuple[str, str | None] | None:
    """Why images of a scan's class are not one."""
    first = volume.frames[0]
    if volume.refusal is not None:
        return None
    if volume.is_localizer:
        return "it is a localizer (scout), not a scan", None
    placed = first.is_placed
    if not placed and first.image_type[:1] == ("DERIVED",):
        return "it is a derived image without a position in the patient", None
    if (
        placed
        and len(volumes) > 1
        and all(len(v.frames) < FEW and v.frames[0].is_placed for v in volumes)
        and _are_apart(volumes)
    ):
        return f"one of {len(volumes)} directions with a slice or two each: a localizer (scout), not a scan", None
    return None


def _are_apart(volumes: Sequence[Volume]) -> bool:
    """Whether volumes lie in directions as different as those of localizers."""
    directions = [np.reshape(volume.frames[0].orientation or (), (2, 3)) for volume in volumes]
    normals = np.array([np.cross(*cosines) for cosines in directions])
    return bool((np.abs(normals @ normals.T) - np.eye(len(normals)) < LOCALIZER_COSINE).all())


def _without_copies(frames: Sequence[Frame], shown: Mapping[Path, Path]) -> tuple[list[Frame], list[Skipped]]:
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


def _files(volume: Volume) -> tuple[Path, ...]:
    return tuple(sorted({frame.file for frame in volume.frames}, key=absolute))


def _found(uid: str, volume: Volume, *, several: bool) -> FoundScan:
    header = volume.frames[0].header
    modality = str(header.get("Modality") or "")
    count = len(volume.frames)
    differences = ", ".join(volume.distinguished_by)
    description = f"{modality or 'DICOM'}, {count} slice{'s' if count != 1 else ''}" + (
        f" ({differences})" if differences else ""
    )
    key = volume.key if several else None
    name = None if key is None else f"{key} {differences}".rstrip()
    number = header.get("SeriesNumber")
    return FoundScan(
        dicom_case_id(modality, uid, key),
        "dicom",
        _files(volume),
        uid,
        description,
        name,
        study_uid=str(header.get("StudyInstanceUID") or "") or None,
        series_number=None if number in (None, "") else int(number),
        series_description=" ".join(str(header.get("SeriesDescription") or "").split()),
    )
