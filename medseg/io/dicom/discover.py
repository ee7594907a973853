"""Groups DICOM files into series and series into volumes; the other files it gives with why they are none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from medseg.errors import MedsegError
from medseg.io.dicom.completeness import missing, positions_of, split_off
from medseg.io.dicom.continued import CONTINUED, Stretch, continued, stretch_of
from medseg.io.dicom.copies import without_copies
from medseg.io.dicom.frame import Frame, frames_of
from medseg.io.dicom.header import LABEL_CLASSES, lenient, read_header
from medseg.io.dicom.not_a_scan import DIRECTORY, not_a_scan, not_a_volume
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

LONGEST_CODE = 16  # letters of a modality
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
    aside = not_a_volume(header.elements)
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
            reason, fix = one.aside
            if reason == DIRECTORY and path in named:
                fix = "Give the folder it lies in."
            skipped.append(Skipped(path, reason, fix, corrupt=path in named or fix is not None))
        elif isinstance(one, _Looked):
            series.add(one.series, one.frames)
    alone = series.alone()
    stacks = attempt(rejoined, alone)
    if isinstance(stacks, MedsegError):
        skipped += _each_skipped(chain(*alone.values()), stacks)
        stacks = {}
    found: list[FoundScan] = []
    stretches: list[Stretch | None] = []
    for uid, members in chain(stacks.items(), series.several()):
        others = [Volume(tuple(strangers[uid]))] if uid in strangers else []
        sorted_out = attempt(_sort_out, uid, members, named, shown, others, is_damaged=uid in unreadable)
        if isinstance(sorted_out, MedsegError):
            skipped += _each_skipped(members, sorted_out)
            continue
        for scan, stretch in sorted_out[0]:
            found.append(scan)
            stretches.append(stretch)
        skipped += sorted_out[1]
    go_on = attempt(continued, stretches)
    if isinstance(go_on, MedsegError):
        what = f"Whether another series continues it is not known: {go_on.what}"
        found = [replace(scan, warnings=(*scan.warnings, what)) for scan in found]
    else:
        found = [
            replace(scan, warnings=(*scan.warnings, CONTINUED)) if goes_on else scan
            for scan, goes_on in zip(found, go_on, strict=True)
        ]
    taken = {path for scan in found for path in scan.files}
    return found, [left for left in skipped if left.path not in taken], label_objects


def _sort_out(
    uid: str,
    members: Sequence[Frame],
    named: Collection[Path],
    shown: Mapping[Path, Path],
    others: Sequence[Volume],
    *,
    is_damaged: bool,
) -> tuple[list[tuple[FoundScan, Stretch | None]], list[Skipped]]:
    """Volumes of one series and where each lies, and its files that are part of none.

    - `others`: images of the series that are of no volume.
    - `is_damaged`: whether the headers of further images could not be read.
    """
    distinct, skipped = without_copies(members, shown)
    volumes = sort_into_volumes(distinct)
    kept = []
    for volume in volumes:
        reason = not_a_scan(volume, volumes)
        if reason is None:
            kept.append(volume)
        else:
            skipped += [Skipped(path, *reason, corrupt=path in named) for path in _files(volume)]
    found: list[tuple[FoundScan, Stretch | None]] = []
    for volume in kept:
        lost = split_off(volume, [*volumes, *others]) or (UNREADABLE if is_damaged else None)
        scan = _found(uid, volume, several=len(volumes) > 1)
        scan = replace(scan, warnings=missing(volume, distinct), incomplete=lost)
        placed = volume.frames[0].is_placed
        found.append((scan, stretch_of(volume, positions_of(volume.frames), uid) if placed else None))
    return found, skipped


def _each_skipped(frames: Iterable[Frame], error: MedsegError) -> list[Skipped]:
    return [Skipped.for_error(path, error) for path in dict.fromkeys(frame.file for frame in frames)]


def _files(volume: Volume) -> tuple[Path, ...]:
    return tuple(sorted({frame.file for frame in volume.frames}, key=absolute))


def _found(uid: str, volume: Volume, *, several: bool) -> FoundScan:
    header = volume.frames[0].header
    modality = str(header.get("Modality") or "")[:LONGEST_CODE]
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
        # Some write text there; it only helps to distinguish series.
        series_number=int(number) if isinstance(number, int) else None,
        series_description=" ".join(str(header.get("SeriesDescription") or "").split()),
    )
