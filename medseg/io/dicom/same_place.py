"""Splits images that share places in the patient by what their headers say of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from medseg.io.dicom.frame import DISTINGUISHING, Frame
from medseg.io.dicom.geometry import SAME_PLACE, heights
from medseg.io.dicom.told_apart import told_apart
from medseg.io.dicom.volume import Volume, attribute_text

# Attributes that count or time acquisitions rather than say what differs: worth no more than the instance number.
COUNTERS = {
    "AcquisitionNumber", "StackID", "AcquisitionTime", "AcquisitionDateTime", "SeriesTime", "ContentTime",
}  # fmt: skip
RUNS = "distinguished only by runs of the instance number: {} runs of {} slices"


def one_at_each_place(frames: Sequence[Frame], places: Sequence[int]) -> list[Volume]:
    """Split frames, some of which share places, by whatever leaves one at each; together where nothing does."""
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
                        tuple(f"{k} {attribute_text(v)}" for k, v in zip(keywords, values, strict=True)),
                    )
                    for values, group in groups.items()
                ]
    for name, parts in told_apart(frames).items() if frames[0].index is not None else ():
        if _is_unbroken([[places[i] for i in part] for part in parts]):
            return [
                Volume(tuple(frames[i] for i in part), (f"{name} {number}",)) for number, part in enumerate(parts, 1)
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


def places_of(frames: Sequence[Frame]) -> list[int]:
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


def _by_sweeps(frames: Sequence[Frame], places: Sequence[int]) -> list[list[int]]:
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
