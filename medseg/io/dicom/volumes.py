"""Sorts the images of a DICOM series into volumes: no more of them than the headers call for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.geometry import SAME_PLACE, heights
from medseg.io.dicom.interleaved import is_even, without_interleaved
from medseg.io.dicom.orientation import by_orientation
from medseg.io.dicom.same_place import one_at_each_place, places_of
from medseg.io.dicom.stretches import with_warnings
from medseg.io.dicom.tiling import tiled
from medseg.io.dicom.volume import Refusal, Volume, attribute_text

# What all images of a series share.
SHARED = ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
# With fewer files, a UID of its own in each of them may mean something.
FEW = 3
NEW_IN_EACH = "{} is new in every file, as after faulty de-identification; the files were read as one series"
PATIENTS = "images of {} patients ({}) are in one series"
IDENTITIES = (("PatientID", "Patient ID"), ("PatientName", "Patient's Name, without an ID"))
ANYBODYS = "series UID and {} are new in every file, as after faulty de-identification: nothing says whose they are"
SEPARATE = "Find out whose images they are, and give each patient's as a series of its own."


def sort_into_volumes(frames: Sequence[Frame]) -> list[Volume]:
    """Split the frames of one series into volumes.

    First by what a volume cannot mix: object class, study, frame of reference, size, pixel spacing, localizer or not,
    orientation, echo and temporal position. What still has several images at one place is split by the attribute, or
    the pair of attributes, that leaves one image at each place; as a last resort by sweeps of the instance number.
    Where nothing distinguishes them they stay together, for `lay_out` to reject. Images of several patients, and images
    of tiled slices, are one volume that is refused.
    """
    for keyword, called in IDENTITIES:
        patients = {who for frame in frames if (who := str(frame.header.get(keyword) or "").strip())}
        if len(patients) > 1 and is_new_in_each(frames, keyword) and is_new_in_each(frames, SHARED[0]):
            return [Volume(tuple(frames), refusal=Refusal(ANYBODYS.format(called), SEPARATE))]
        if len(patients) > 1:
            return [Volume(tuple(frames), refusal=Refusal(PATIENTS.format(len(patients), called), SEPARATE))]
        if patients:
            break
    refusal = next((reason for frame in frames if (reason := tiled(frame)) is not None), None)
    if refusal is not None:
        return [Volume(tuple(frames), refusal=refusal)]
    scattered = tuple(keyword for keyword in SHARED if is_new_in_each(frames, keyword))
    notes = tuple(NEW_IN_EACH.format(keyword) for keyword in scattered)
    volumes: list[Volume] = []
    for fixed in _split(frames, lambda frame: _fixed(frame, scattered)).values():
        for oriented in by_orientation(fixed):
            by_time = _by_time(oriented)
            for values, group in by_time.items():
                names = _names(values) if len(by_time) > 1 else ()
                volumes += [
                    replace(v, distinguished_by=names + v.distinguished_by, notes=notes + v.notes)
                    for v in map(with_warnings, _one_at_each_place(group))
                ]
    return sorted(volumes, key=lambda v: (str(v.frames[0].image_type), v.distinguished_by, _first(v)))


def is_new_in_each(frames: Sequence[Frame], keyword: str) -> bool:
    """Whether a UID that the images of a series share is another in each of their files."""
    values = {str(frame.header.get(keyword)) for frame in frames}
    return len(values) == len(frames) >= FEW and all(frame.index is None for frame in frames)


def _first(volume: Volume) -> tuple[int, str]:
    return min((f.instance_number or 0, f.sop_uid) for f in volume.frames)


def _split(frames: Iterable[Frame], key: Callable[[Frame], Hashable]) -> dict[Hashable, list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return groups


def _fixed(frame: Frame, scattered: Sequence[str]) -> Hashable:
    get = frame.header.get
    spacing = str(tuple(round(s, 4) for s in frame.pixel_spacing or ()))  # as text, for NaN is not equal to itself
    scout = any(part in ("LOCALIZER", "SCOUT") for part in frame.image_type)
    return (
        *(str(get(k)) for k in ("SOPClassUID", "StudyInstanceUID", "FrameOfReferenceUID") if k not in scattered),
        frame.rows,
        frame.columns,
        spacing,
        int(get("SamplesPerPixel") or 1),
        scout,
        frame.is_placed,
    )


def _by_time(frames: list[Frame]) -> dict[Hashable, list[Frame]]:
    """Split time points and echoes, which no volume mixes even where their slices happen to interleave.

    Not where each fills a stretch of its own: then the number merely counts slices or slabs.
    """
    groups = _split(
        frames,
        lambda frame: tuple(
            (keyword, frame.attributes[keyword])
            for keyword in ("TemporalPositionIdentifier", "TemporalPositionIndex", "EchoNumbers")
            if keyword in frame.attributes
        ),
    )
    if len(groups) == 1 or not frames[0].is_placed:
        return {(): frames}
    stretches = sorted((float(h.min()), float(h.max())) for h in map(heights, groups.values()))
    apart = all(low > high + SAME_PLACE for (_, high), (low, _) in itertools.pairwise(stretches))
    return {(): frames} if apart else groups


def _names(values: Hashable) -> tuple[str, ...]:
    return tuple(f"{keyword} {attribute_text(value)}" for keyword, value in values) if isinstance(values, tuple) else ()


def _one_at_each_place(frames: list[Frame]) -> list[Volume]:
    """Split frames that share places, and acquisitions that lie between each other."""
    if len(frames) < 2 or not frames[0].is_placed:
        return [Volume(tuple(frames))]
    places = places_of(frames)
    alone = len(set(places)) == len(frames)
    volumes = _without_strangers(frames) if alone else one_at_each_place(frames, places)
    if not alone and len(volumes) == 1:
        return volumes  # for `lay_out` to reject
    return [whole for volume in volumes for whole in without_interleaved(volume)]


def _without_strangers(frames: list[Frame]) -> list[Volume]:
    """Set apart derived or secondary images that break an otherwise even stack, such as a projection beside it."""
    by_type = _split(frames, lambda f: f.image_type[:2])
    if len(by_type) == 1 or is_even(frames):
        return [Volume(tuple(frames))]
    most = max(by_type.values(), key=len)
    rest = [f for f in frames if f.image_type[:2] != most[0].image_type[:2]]
    if len(most) < 3 or not is_even(most):
        return [Volume(tuple(frames))]
    return [Volume(tuple(part), ("ImageType " + attribute_text(part[0].image_type),)) for part in (most, rest)]
