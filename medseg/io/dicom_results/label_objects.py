"""DICOM objects that hold labels, by their headers: SEG, and RTSTRUCT with the series it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from medseg.errors import FormatLimitation, InputError
from medseg.io.dicom.header import LABEL_CLASSES, lenient
from medseg.io.files.case_id import dicom_case_id
from medseg.types.labels import LabelMap
from medseg.types.scan import FoundScan


@dataclass(frozen=True)
class LabelObject:
    """One SEG or RTSTRUCT."""

    path: Path
    case_id: str  # kind and a hash of its UID
    drawn_on: tuple[str, ...] | None = None  # UIDs of the series it refers to; of RTSTRUCT only

    def read(self, scans: Sequence[FoundScan]) -> tuple[LabelMap, ...]:
        """Read it, overlapping segments one by one; contours on the grid of their series, one of `scans`."""
        if self.drawn_on is None:
            from medseg.io.dicom_results.seg import read_seg, read_segments

            try:
                return (read_seg(self.path),)
            except FormatLimitation:
                return read_segments(self.path)
        from medseg.io.dicom.geometry import lay_out
        from medseg.io.dicom.series import volume_of
        from medseg.io.dicom_results.rtstruct import read_rtstruct

        fitting = [scan for scan in scans if scan.series_uid in self.drawn_on]
        if len(fitting) != 1:
            raise InputError(
                f"{len(fitting)} of the volumes given are the one these contours were drawn on",
                where=self.path,
                fix="Give the folder of that series too.",
            )
        return (read_rtstruct(self.path, lay_out(volume_of(fitting[0]).frames).geometry),)


def look(path: Path) -> LabelObject:
    """Read the header of a SEG or RTSTRUCT."""
    wanted = ["SOPClassUID", "SOPInstanceUID", "ReferencedFrameOfReferenceSequence"]
    try:
        with lenient():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted, force=True)
            kind = LABEL_CLASSES[str(header.SOPClassUID)]
            case_id = dicom_case_id(kind, str(header.SOPInstanceUID))
            return LabelObject(path, case_id, _drawn_on(header) if kind == "RTSTRUCT" else None)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError("its DICOM header is damaged", where=path, fix="Copy it again.") from error


def _drawn_on(header: Dataset) -> tuple[str, ...]:
    return tuple(
        str(series.SeriesInstanceUID)
        for frame in header.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    )
