"""The images a structure set was drawn on: whose they are, and which slices of the grid each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.plane import LPS
from medseg.io.dicom_results.patient import refuse_other_patient
from medseg.types import Geometry


@dataclass(frozen=True)
class DrawnImages:
    """Images that contours may refer to."""

    patient: str  # ID of the patient; empty where they do not say
    slices_of: Mapping[str, frozenset[int]]  # slices of the grid that each object is, by its UID

    @classmethod
    def on(cls, geometry: Geometry, frames: Iterable[Frame]) -> DrawnImages:
        """Find the slices of a grid that its images are."""
        slices: dict[str, set[int]] = {}
        patient = ""
        for frame in frames:
            patient = patient or str(frame.header.get("PatientID") or "").strip()
            if frame.position is not None:
                place = geometry.to_voxel(np.array([frame.position]) @ LPS)[0, 2]
                slices.setdefault(frame.sop_uid, set()).add(round(float(place)))
        return cls(patient, {uid: frozenset(numbers) for uid, numbers in slices.items()})

    def check_patient(self, patient: str, path: Path) -> None:
        """Refuse structures of another patient; one side that does not say fits any."""
        refuse_other_patient(patient, self.patient, path)
