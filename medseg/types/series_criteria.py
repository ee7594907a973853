"""What a model wants of a DICOM series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesCriteria:
    """What a model wants of a series; what is empty or None does not matter."""

    modalities: tuple[str, ...] = ()  # DICOM's words, for instance ``("CT",)``
    body_parts: tuple[str, ...] = ()  # DICOM's words (Body Part Examined), for instance ``("HEAD", "BRAIN")``
    contrast: bool | None = None  # whether contrast medium was given
    # Smallest and largest of the training data, mm; axes are sorted, since a series may be cut in any direction.
    spacing: tuple[Sequence[float], Sequence[float]] | None = None
    extent: tuple[Sequence[float], Sequence[float]] | None = None  # likewise, of the field of view, mm
