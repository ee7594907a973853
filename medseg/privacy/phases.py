"""Phases of a series that nothing but their times keeps apart: their order stays when the times go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

MOMENTS = (
    ("AcquisitionDateTime",),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
)


@dataclass
class Phases:
    """When the images of each series were acquired, and where they lie."""

    _images: dict[str, list[tuple[Hashable, tuple[str, ...]]]] = field(default_factory=dict)
    _found: dict[str, tuple[int, list[str]] | None] = field(default_factory=dict)

    def learn(self, dataset: Dataset) -> None:
        """Take in one image."""
        if dataset.get("ImagePositionPatient") and dataset.get("SeriesInstanceUID"):
            place = tuple(dataset.ImagePositionPatient)
            self._images.setdefault(str(dataset.SeriesInstanceUID), []).append((place, _moments(dataset)))

    def keep_apart(self, dataset: Dataset) -> None:
        """Number an image by its phase, where images of its series share places and its times say which is which."""
        series = str(dataset.get("SeriesInstanceUID") or "")
        if "TemporalPositionIdentifier" in dataset or series not in self._images:
            return
        if series not in self._found:
            self._found[series] = _phases(self._images[series])
        found = self._found[series]
        if found is not None:
            which, order = found
            moment = _moments(dataset)[which]
            if moment in order:
                dataset.TemporalPositionIdentifier = order.index(moment) + 1
                dataset.NumberOfTemporalPositions = len(order)


def _moments(dataset: Dataset) -> tuple[str, ...]:
    return tuple("".join(str(dataset.get(keyword) or "") for keyword in keywords) for keywords in MOMENTS)


def _phases(images: list[tuple[Hashable, tuple[str, ...]]]) -> tuple[int, list[str]] | None:
    """Which of `MOMENTS` distinguishes phases, and its values in order; None where none does."""
    at_place = max(Counter(place for place, _ in images).values())
    for which in range(len(MOMENTS)):
        in_phase = max(Counter((place, moments[which]) for place, moments in images).values())
        order = sorted({moments[which] for _, moments in images})
        # Times of single slices, or of every other slice, are more than a place has images.
        if len(order) > 1 and len(order) * in_phase == at_place:
            return which, order
    return None
