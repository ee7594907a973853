"""DICOM objects that hold labels, by their headers: SEG, and RTSTRUCT with the series it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from medseg.errors import InputError, MedsegError
from medseg.io.dicom.header import LABEL_CLASSES, lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom_results.patient import check_patient
from medseg.io.dicom_results.read_labels import ReadLabels
from medseg.io.files.case_id import dicom_case_id
from medseg.types.geometry import Geometry
from medseg.types.scan import FoundScan


@dataclass(frozen=True)
class LabelObject:
    """One SEG or RTSTRUCT."""

    path: Path
    case_id: str  # kind and a hash of its UID
    drawn_on: tuple[str, ...] | None = None  # UIDs of the series it refers to; of RTSTRUCT only
    made_of: tuple[str, ...] = ()  # UIDs of the series it refers to; of SEG only

    def read(self, scans: Sequence[FoundScan]) -> tuple[ReadLabels, ...]:
        """Read it; contours on the grids of the series they were drawn on, among `scans`, one result for each."""
        if self.drawn_on is not None:
            from medseg.io.dicom_results.drawn_series import read_on_series

            near = [scan for scan in scans if scan.format == "dicom"]
            return tuple(read_on_series(self.path, self.drawn_on, near))
        from medseg.io.dicom_results.read_seg import read_with_warnings

        its_series = [scan for scan in scans if scan.series_uid in self.made_of]
        for scan in its_series:
            check_patient(self.path, scan.files[0])
        on = self._grid(its_series)
        return (ReadLabels(*read_with_warnings(self.path, on)),)

    def _grid(self, scans: Sequence[FoundScan]) -> Geometry | None:
        """Grid of the series a SEG was made of; None where it is not there, or in several volumes."""
        from medseg.io.dicom.geometry import lay_out
        from medseg.io.dicom.series import volume_of

        if len(scans) != 1:
            return None
        try:
            return lay_out(volume_of(scans[0]).frames).geometry
        except MedsegError:
            return None


def look(path: Path) -> LabelObject:
    """Read the header of a SEG or RTSTRUCT."""
    wanted = ["SOPClassUID", "SOPInstanceUID", "ReferencedFrameOfReferenceSequence", "ReferencedSeriesSequence"]
    try:
        with lenient():
            header = read_dicom(path, stop_before_pixels=True, specific_tags=wanted, force=True)
            kind = LABEL_CLASSES[str(header.SOPClassUID)]
            case_id = dicom_case_id(kind, str(header.SOPInstanceUID))
            if kind == "RTSTRUCT":
                return LabelObject(path, case_id, drawn_on=_drawn_on(header))
            made_of = tuple(str(item.SeriesInstanceUID) for item in header.get("ReferencedSeriesSequence") or ())
            return LabelObject(path, case_id, made_of=made_of)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError("its DICOM header is damaged", where=path, fix="Copy it again.") from error


def names_in(path: Path) -> tuple[str, ...]:
    """Names of the segments of a SEG, or of the structures of an RTSTRUCT."""
    try:
        with lenient():
            wanted = ["SegmentSequence", "StructureSetROISequence"]
            header = read_dicom(path, stop_before_pixels=True, specific_tags=wanted, force=True)
            segments = [str(item.get("SegmentLabel", "")) for item in header.get("SegmentSequence") or ()]
            drawn = [str(item.get("ROIName", "")) for item in header.get("StructureSetROISequence") or ()]
            return (*segments, *drawn)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError("its DICOM header is damaged", where=path, fix="Copy it again.") from error


def _drawn_on(header: Dataset) -> tuple[str, ...]:
    return tuple(
        str(series.SeriesInstanceUID)
        for frame in header.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    )
