"""What reading a DICOM object of labels gives."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.types.overlapping import AnyLabels


@dataclass(frozen=True, eq=False)
class ReadLabels:
    """Labels of an object, a label map where nothing in it overlaps, with warnings and notes."""

    labels: AnyLabels
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
