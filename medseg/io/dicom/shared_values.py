"""Which images of a volume share what an element of their headers says."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.tag import Tag

from medseg.io.dicom.frame import DISTINGUISHING, Frame
from medseg.io.dicom.wanted import MAKERS


def by_value(frames: Sequence[Frame], attribute: str | tuple[int, int]) -> dict[str, list[int]]:
    """Numbers of the frames for each value of an element, in the order of the values; of one where all share it."""
    tag = Tag(attribute)
    elements = [frame.header.get_item(tag) for frame in frames]
    # Values that are alike in many files are one object, which makes this quick where nothing differs.
    if attribute not in DISTINGUISHING and all(element is elements[0] for element in elements):
        return {"": list(range(len(frames)))}
    groups: dict[str, list[int]] = {}
    for number, (frame, element) in enumerate(zip(frames, elements, strict=True)):
        value = frame.attributes.get(str(attribute), getattr(element, "value", None))
        groups.setdefault(str(value or "").strip(), []).append(number)
    return dict(sorted(groups.items()))


def name_of(attribute: str | tuple[int, int]) -> str:
    """Such as ``SeriesDescription``."""
    return attribute if isinstance(attribute, str) else MAKERS[attribute]
