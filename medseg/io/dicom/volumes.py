"""Sorts the images of a DICOM series into volumes: no more of them than the headers call for."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io.dicom.frame import DISTINGUISHING, Frame
from medseg.io.dicom.geometry import SAME_PLACE, heights, lay_out

# Cosines within this are one orientation: 0.03 mm at the rim of a 300 mm field of view.
SAME_COSINE = 2e-4
# Attributes that count or time acquisitions rather than say what differs: worth no more than the instance number.
COUNTERS = {
    "AcquisitionNumber", "StackID", "AcquisitionTime", "AcquisitionDateTime", "SeriesTime", "ContentTime",
}  # fmt: skip
RUNS = "distinguished only by runs of the instance number: {} runs of {} slices"


@dataclass(frozen=True)
class Volume:
    """Images that belong together."""

    frames: tuple[Frame, ...]  # in no particular order
    # What distinguishes it from the other volumes of the series, for instance ``("EchoTime 4.6",)``.
    distinguished_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # how it was found, where the header does not say outright

    @property
    def is_localizer(self) -> bool:
        """Whether the images say they are scouts."""
        return any(part in ("LOCALIZER", "SCOUT") for part in self.frames[0].image_type)

    @property
    def key(self) -> str:
        """Short name of the volume among those of its series, the same whatever order its files come in."""
        mark = "\n".join(sorted(f"{frame.sop_uid}#{frame.index}" for frame in self.frames))
        return hashlib.sha256(mark.encode()).hexdigest()[:10]


def sort_into_volumes(frames: Sequence[Frame]) -> list[Volume]:
    """Split the frames of one series into volumes.

    First by what a volume cannot mix: object class, frame of reference, size, pixel spacing, localizer or not,
    orientation, echo and temporal position. What still has several images at one place is split by the attribute, or
    the pair of attributes, that leaves one image at each place; as a last resort by sweeps of the instance number.
    Where nothing distinguishes them they stay together, for `lay_out` to reject.
    """
    groups = _split(frames, _fixed)
    volumes: list[Volume] = []
    for fixed in groups.values():
        for oriented in _by_orientation(fixed):
            by_time = _by_time(oriented)
            for values, group in by_time.items():
                names = _names(values) if len(by_time) > 1 else ()
                volumes += [Volume(v.frames, names + v.distinguished_by, v.notes) for v in _one_at_each_place(group)]
    return sorted(volumes, key=lambda v: (str(v.frames[0].image_type), v.distinguished_by, _first(v)))


def _first(volume: Volume) -> tuple[int, str]:
    return min((f.instance_number or 0, f.sop_uid) for f in volume.frames)


def _split(frames: Iterable[Frame], key: Callable[[Frame], Hashable]) -> dict[Hashable, list[Frame]]:
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return groups


def _fixed(frame: Frame) -> Hashable:
    get = frame.header.get
    spacing = None if frame.pixel_spacing is None else tuple(round(s, 4) for s in frame.pixel_spacing)
    scout = any(part in ("LOCALIZER", "SCOUT") for part in frame.image_type)
    return (
        str(get("SOPClassUID")),
        str(get("StudyInstanceUID")),
        str(get("FrameOfReferenceUID")),
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
    return tuple(f"{keyword} {_text(value)}" for keyword, value in values) if isinstance(values, tuple) else ()


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(_text(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _by_orientation(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Group by direction cosines, equal within `SAME_COSINE`."""
    groups: list[tuple[npt.NDArray[np.float64] | None, list[Frame]]] = []
    for frame in frames:
        cosines = None if frame.orientation is None else np.asarray(frame.orientation)
        for known, members in groups:
            if (known is None and cosines is None) or (
                known is not None and cosines is not None and np.abs(known - cosines).max() <= SAME_COSINE
            ):
                members.append(frame)
                break
        else:
            groups.append((cosines, [frame]))
    return [members for _, members in groups]


def _one_at_each_place(frames: list[Frame]) -> list[Volume]:
    """Split frames that share places by whatever leaves one at each."""
    if len(frames) < 2 or not frames[0].is_placed:
        return [Volume(tuple(frames))]
    places = _places(frames)
    if len(set(places)) == len(frames):
        return _without_strangers(frames)
    sweeps = _by_sweeps(frames, places)
    private = sorted({k for frame in frames for k in frame.attributes} - set(DISTINGUISHING))
    varying = [k for k in (*DISTINGUISHING, *private) if len({f.attributes.get(k) for f in frames}) > 1]
    for fits in (_is_unbroken, _is_fewest):
        for keywords in itertools.chain.from_iterable(itertools.combinations(varying, size) for size in (1, 2, 3)):
            groups: dict[tuple[Any, ...], list[int]] = {}
            for number, frame in enumerate(frames):
                groups.setdefault(tuple(frame.attributes.get(k) for k in keywords), []).append(number)
            if fits([[places[i] for i in group] for group in groups.values()]):
                if set(keywords) <= COUNTERS and _contradicts(groups.values(), sweeps):
                    return [Volume(tuple(frames))]
                return [
                    Volume(
                        tuple(frames[i] for i in group),
                        tuple(f"{k} {_text(v)}" for k, v in zip(keywords, values, strict=True)),
                    )
                    for values, group in groups.items()
                ]
    return [
        Volume(
            tuple(frames[i] for i in sweep),
            (f"run {number} of {len(sweeps)}",),
            (RUNS.format(len(sweeps), len(sweep)),),
        )
        for number, sweep in enumerate(sweeps, 1)
    ] or [Volume(tuple(frames))]


def _contradicts(groups: Iterable[Sequence[int]], sweeps: Sequence[Sequence[int]]) -> bool:
    """Whether the instance numbers run through all places again and again, and group the images otherwise."""
    return bool(sweeps) and {frozenset(group) for group in groups} != {frozenset(sweep) for sweep in sweeps}


def _places(frames: Sequence[Frame]) -> list[int]:
    """Number of each frame's place, counted along the slice normal; a thousandth of a mm apart is the same place."""
    along = heights(frames)
    order = np.argsort(along, kind="stable")
    numbers = np.zeros(len(frames), dtype=int)
    numbers[order[1:]] = np.cumsum(np.diff(along[order]) > SAME_PLACE)
    return [int(n) for n in numbers]


def _is_unbroken(groups: Sequence[Sequence[int]]) -> bool:
    """Whether every group has one frame at each of several neighboring places."""
    return all(len(group) > 1 and sorted(group) == list(range(min(group), max(group) + 1)) for group in groups)


def _is_fewest(groups: Sequence[Sequence[int]]) -> bool:
    """Whether no group has two frames at one place, and there are no more groups than the fullest place has frames."""
    fullest = max(Counter(itertools.chain.from_iterable(groups)).values())
    return len(groups) == fullest and all(len(set(group)) == len(group) for group in groups)


def _by_sweeps(frames: list[Frame], places: Sequence[int]) -> list[list[int]]:
    """Split by instance number where it runs through all places in one direction, again and again."""
    if any(f.instance_number is None for f in frames):
        return []
    order = sorted(range(len(frames)), key=lambda i: frames[i].instance_number or 0)
    length = max(places) + 1
    if len(frames) % length or length < 3:
        return []
    sweeps = [order[start : start + length] for start in range(0, len(order), length)]
    upwards = list(range(length))
    if any([places[i] for i in sweep] not in (upwards, upwards[::-1]) for sweep in sweeps):
        return []
    return sweeps


def _without_strangers(frames: list[Frame]) -> list[Volume]:
    """Set apart derived or secondary images that break an otherwise even stack, such as a projection beside it."""
    by_type = _split(frames, lambda f: f.image_type[:2])
    if len(by_type) == 1 or _is_even(frames):
        return [Volume(tuple(frames))]
    most = max(by_type.values(), key=len)
    rest = [f for f in frames if f.image_type[:2] != most[0].image_type[:2]]
    if len(most) < 3 or not _is_even(most):
        return [Volume(tuple(frames))]
    return [Volume(tuple(part), ("ImageType " + _text(part[0].image_type),)) for part in (most, rest)]


def _is_even(frames: Sequence[Frame]) -> bool:
    try:
        lay_out(frames)
    except InputError:
        return False
    return True
