"""Elements of whatever kind that have one value in some slices and another in those between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.tag import BaseTag, Tag

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.geometry import heights
from medseg.io.dicom.inflated import read_dicom

# Slices that alternate do so in the middle of a volume too: elements that do not, in so many files, are not looked at.
SAMPLE = 8
MOST = 4  # acquisitions
# Where a slice lies, which is looked at itself, and what its stored values stand for, which differs in each of a PET.
PASSED_OVER = {Tag(keyword) for keyword in (
    "ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "PixelSpacing", "RescaleSlope",
    "RescaleIntercept",
)}  # fmt: skip
LONGEST = 2048  # bytes of a value that is compared
# Kinds of value that say when a slice was acquired. Of MR, slices are often acquired every second first.
TIMES = ("TM", "DT", "DA")


def told_apart(frames: Sequence[Frame]) -> dict[str, list[list[int]]]:
    """Numbers of the frames that share a value, by the name of the element, which has several.

    In files of one image each, private elements are not looked at: they may well count the slices of every package.
    """
    if frames[0].index is not None:
        names = dict.fromkeys(name for frame in frames for name in frame.groups)
        return {name: _parts([frame.groups.get(name, "") for frame in frames]) for name in names}
    order = np.argsort(heights(frames), kind="stable")
    middle = order[max(0, (len(order) - SAMPLE) // 2) :][:SAMPLE]
    try:
        sample = [_read(frames[i].file) for i in middle]
        tags = [
            tag
            for tag in dict.fromkeys(t for one in sample for t in one if t not in PASSED_OVER)
            if _alternates([one.get(tag) for one in sample])
        ]
        if not tags:
            return {}
        every = [_read(frame.file, tags) for frame in frames]
    except Exception:  # pydicom raises nearly anything on damaged elements, of which none is needed to read the scan
        return {}
    return {_name(tag): _parts([str(one.get(tag, "")) for one in every]) for tag in tags}


def is_time(name: str) -> bool:
    """Whether an element says when something was."""
    try:
        return dictionary_VR(name) in TIMES
    except (KeyError, ValueError):
        return False


def _read(path: Path, tags: Iterable[BaseTag] | None = None) -> dict[BaseTag, Any]:
    """Values of a header as they are stored; long ones are passed over."""
    chosen = None if tags is None else list(tags)
    elements = read_dicom(path, stop_before_pixels=True, force=True, defer_size=LONGEST, specific_tags=chosen)
    items = ((tag, elements.get_item(tag)) for tag in elements.keys() if not tag.is_private)  # noqa: SIM118
    return {
        tag: one.value if isinstance(one.value, bytes) else repr(one.value)
        for tag, one in items
        if one is not None and one.value is not None
    }


def _alternates(values: Sequence[Any]) -> bool:
    """Whether values come again every second, third or fourth time, and are not all the same."""
    return any(
        values[:-period] == values[period:] and len({*values}) > 1
        for period in range(2, MOST + 1)
        if len(values) >= 2 * period
    )


def _parts(values: Sequence[str]) -> list[list[int]]:
    parts: dict[str, list[int]] = {}
    for number, value in enumerate(values):
        parts.setdefault(value.strip(), []).append(number)
    return [part for _, part in sorted(parts.items())]


def _name(tag: BaseTag) -> str:
    return keyword_for_tag(tag) or f"element {tag}"
