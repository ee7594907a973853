"""What a model calls its input channels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WantedChannel:
    """A channel of a model that takes several scans of a case together."""

    name: str
    modality: str | None = None  # DICOM's word, where the model's card states it
