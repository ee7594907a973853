"""Numbers that say who somebody is, and turn up again where an element holds a number."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

FEWEST_DIGITS = 5  # shorter numbers are too often something else: 2000 ms, 512 rows
LONG = 7  # digits behind a point that hardly stand there by chance
RUN = re.compile(rf"\d{{{FEWEST_DIGITS},}}")
UID = re.compile(r"\d+(?:\.\d+){3,}")
NUMERIC = {"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"}
# Without these no pixel is where it was, and some count to more than 10,000.
NEEDED = {
    "BitsAllocated", "BitsStored", "Columns", "ContourData", "ContourNumber", "DimensionIndexValues", "HighBit",
    "InStackPositionNumber", "NumberOfContourPoints", "NumberOfFrames", "PixelPaddingRangeLimit", "PixelPaddingValue",
    "PixelRepresentation", "PixelSpacing", "PlanarConfiguration", "ReferencedFrameNumber", "ReferencedSegmentNumber",
    "RescaleIntercept", "RescaleSlope", "Rows", "SamplesPerPixel", "SegmentNumber", "TemporalPositionIndex",
    *(f"{color}PaletteColorLookupTableDescriptor" for color in ("Red", "Green", "Blue", "Alpha")),
}  # fmt: skip


def digit_runs(text: str) -> set[str]:
    """Long numbers in a text, as they stand and without leading zeros.

    >>> sorted(digit_runs("MRN0047115/12"))
    ['0047115', '47115']
    """
    runs = set(RUN.findall(text))
    return runs | {run for run in (one.lstrip("0") for one in runs) if len(run) >= FEWEST_DIGITS}


def identifying_numbers(words: Iterable[str]) -> set[int]:
    """Return the long numbers among what names a patient, without those of UIDs."""
    return {int(run) for word in words if not UID.fullmatch(word) for run in digit_runs(word)}


def numbers_left(dataset: Dataset, numbers: set[int]) -> Iterator[tuple[Dataset, DataElement]]:
    """Every numeric element, at any depth, that holds one of the numbers or a text, and the item it stands in."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from numbers_left(item, numbers)
        elif element.VR[:2] in NUMERIC and element.keyword not in NEEDED and not element.is_empty:
            values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
            if any(_is_among(value, numbers) for value in values):
                yield dataset, element


def _is_among(value: Any, numbers: set[int]) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return True  # a text where only a number may stand
    if number.is_integer() and abs(int(number)) in numbers:
        return True
    decimals = str(getattr(value, "original_string", "")).partition(".")[2]
    return len(decimals) >= LONG and any(int(run) in numbers for run in RUN.findall(decimals) if len(run) >= LONG)
