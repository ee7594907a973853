"""Images of a DICOM series that belong together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from medseg.io.dicom.frame import Frame


@dataclass(frozen=True)
class Refusal:
    """Why images that belong to one series make no volume that anyone should read."""

    what: str
    fix: str


@dataclass(frozen=True)
class Volume:
    """Images that belong together."""

    frames: tuple[Frame, ...]  # in no particular order
    # What distinguishes it from the other volumes of the series, for instance ``("EchoTime 4.6",)``.
    distinguished_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # how it was found, where the header does not say outright
    warnings: tuple[str, ...] = ()  # what in the headers speaks against its being one volume
    refusal: Refusal | None = None  # None where it may be read

    @property
    def is_localizer(self) -> bool:
        """Whether the images say they are scouts."""
        return any(part in ("LOCALIZER", "SCOUT") for part in self.frames[0].image_type)

    @property
    def key(self) -> str:
        """Short name of the volume among those of its series, the same whatever order its files come in."""
        mark = "\n".join(sorted(f"{frame.sop_uid}#{frame.index}" for frame in self.frames))
        return hashlib.sha256(mark.encode()).hexdigest()[:10]


def attribute_text(value: object) -> str:
    """Value of an attribute as a name or a message shows it."""
    if isinstance(value, tuple):
        return "/".join(attribute_text(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
