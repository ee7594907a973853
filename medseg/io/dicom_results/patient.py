"""Whether a DICOM object of labels is of the patient of the scan, or of other labels, that it is read with."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import GeometryMismatch
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.recognize import recognize

FIX = "Give the labels of this patient, or one Patient ID to both where it is one patient."


def check_patient(path: Path, other: Path, what: str = "the scan") -> None:
    """Refuse labels of another patient than another DICOM file is of; one that does not say fits any."""
    refuse_other_patient(_patient_of(path), _patient_of(other), path, what)


def refuse_other_patient(patient: str, other: str, path: Path, what: str = "the scan") -> None:
    """Refuse labels where two Patient IDs differ; an empty one fits any."""
    if patient and other and patient != other:
        raise GeometryMismatch(f"it is of another patient than {what}, by their Patient IDs", where=path, fix=FIX)


def _patient_of(path: Path) -> str:
    """ID of the patient a file is of; empty where it is not DICOM, does not say, or cannot be read."""
    try:
        if not path.is_file() or recognize(path).kind != "dicom":
            return ""
        with lenient():
            header = read_dicom(path, stop_before_pixels=True, specific_tags=["PatientID"], force=True)
            return str(header.get("PatientID") or "").strip()
    except Exception:  # whatever is wrong with it, reading it says so
        return ""
