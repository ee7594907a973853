"""What the functional groups of an enhanced object say otherwise of some frames than of others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from pydicom.dataset import Dataset

# Where frames lie, which is looked at itself, what counts them, and how they are shown.
PASSED_OVER = {
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "InStackPositionNumber", "WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "RealWorldValueSlope",
    "RealWorldValueIntercept", "TablePosition",
}  # fmt: skip
FEWEST = 2  # frames that share a value, where it tells anything


def differing(per_frame: Sequence[Dataset]) -> list[dict[str, str]]:
    """For each frame, the values of those elements that have one for some frames and others for others.

    Of elements that divide the frames alike, the first is kept.
    """
    values = [dict(_values(groups)) for groups in per_frame]
    kept: list[str] = []
    known: set[tuple[int, ...]] = set()
    for name in dict.fromkeys(chain.from_iterable(values)):
        numbers: dict[str, int] = {}
        division = tuple(numbers.setdefault(one.get(name, ""), len(numbers)) for one in values)
        if 1 < len(numbers) <= len(values) // FEWEST and division not in known:
            known.add(division)
            kept.append(name)
    return [{name: one.get(name, "") for name in kept} for one in values]


def _values(groups: Dataset, depth: int = 0) -> list[tuple[str, str]]:
    """Keywords and values of the standard elements in all first items."""
    found: list[tuple[str, str]] = []
    for element in groups:
        if element.tag.is_private or element.keyword in PASSED_OVER:
            continue
        value: Any = element.value
        if element.VR == "SQ":
            found += _values(value[0], depth + 1) if value and depth < 4 else []
        elif element.keyword == "DimensionIndexValues":
            values = [value] if isinstance(value, int) else list(value or ())
            found += [(f"dimension {number}", str(one)) for number, one in enumerate(values, 1)]
        elif depth:
            found.append((element.keyword, str(value)))
    return found
