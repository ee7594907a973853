"""The report that a new one takes the place of."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from medseg.errors import InputError
from medseg.io.dicom.inflated import read_dicom
from medseg.types.verification import DocumentReference, Verification


def predecessor_in(path: Path, verification: Verification) -> DocumentReference | None:
    """Return the report in a file that one with this verification takes the place of; None for a first one.

    Where the file holds the report of this very verification, written before, it is that one's own predecessor: to
    export the same verdict again gives the same report.

    Raises
    ------
    InputError
        When the file is no such report.
    """
    try:
        report = read_dicom(path)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError("the earlier report cannot be read as DICOM", where=path, fix="Delete it.") from error
    if report.get("SOPClassUID") != ComprehensiveSRStorage:
        raise InputError("it is not a report of volumes", where=path, fix="Choose another folder for the output.")
    verified = report.get("VerifyingObserverSequence")
    if verified and str(verified[0].VerificationDateTime) == verification.date_time:
        return _first_reference(report)
    return DocumentReference(
        str(report.StudyInstanceUID),
        str(report.SeriesInstanceUID),
        str(report.SOPClassUID),
        str(report.SOPInstanceUID),
    )


def as_dataset(reference: DocumentReference) -> Dataset:
    """Return a reference as highdicom takes it."""
    item = Dataset()
    item.StudyInstanceUID, item.SeriesInstanceUID = reference.study_uid, reference.series_uid
    item.SOPClassUID, item.SOPInstanceUID = reference.class_uid, reference.instance_uid
    return item


def _first_reference(report: Dataset) -> DocumentReference | None:
    for study in report.get("PredecessorDocumentsSequence") or ():
        series = study.ReferencedSeriesSequence[0]
        instance = series.ReferencedSOPSequence[0]
        return DocumentReference(
            str(study.StudyInstanceUID),
            str(series.SeriesInstanceUID),
            str(instance.ReferencedSOPClassUID),
            str(instance.ReferencedSOPInstanceUID),
        )
    return None
