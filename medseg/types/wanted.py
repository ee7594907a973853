"""What a model wants of a DICOM series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["SeriesWanted"]


@dataclass(frozen=True)
class SeriesWanted:
    """What a model wants of a series; what is empty or None does not matter.

    Parameters
    ----------
    modalities : tuple of str
        DICOM's words, for instance ``("CT",)``.
    body_parts : tuple of str
        DICOM's words (Body Part Examined), for instance ``("HEAD", "BRAIN")``.
    contrast : bool, optional
        Whether contrast medium was given.
    spacing, extent : pair of tuple of float, optional
        Smallest and largest spacing and field of view of the training data, mm. Their axes are sorted before they are
        compared, since a series may be cut in any direction.
    """

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    contrast: bool | None = None
    spacing: tuple[Sequence[float], Sequence[float]] | None = None
    extent: tuple[Sequence[float], Sequence[float]] | None = None
