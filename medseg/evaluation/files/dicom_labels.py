"""Reads the two label maps of a case where one is DICOM, which has no grid of its own or only part of one."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import InputError
from medseg.io.dicom_results.patient import check_patient
from medseg.io.image2d import with_size_of
from medseg.io.read import read_any_labels
from medseg.io.recognize import recognize
from medseg.prepare.regrid import regrid
from medseg.types import AnyLabels
from medseg.types.overlapping import moved


def read_pair(prediction: Path, reference: Path) -> tuple[AnyLabels, AnyLabels]:
    """Read prediction and reference; contours and DICOM SEG, which skip empty slices, onto the other's grid.

    Nothing is resampled: a SEG whose voxels do not coincide with the other's is rejected.
    """
    check_patient(prediction, reference, "the reference")
    drawn = [_is_contours(path) for path in (prediction, reference)]
    if all(drawn):
        raise InputError(
            "prediction and reference are both contours, and neither says on which grid",
            where=reference,
            fix="Convert one of them together with its series: medseg convert SERIES RTSTRUCT --out DIR.",
        )
    if any(drawn):
        from medseg.io.dicom_results.rtstruct import read_any_rtstruct

        on = read_any_labels(reference if drawn[0] else prediction)
        frame = _frame_of(reference if drawn[0] else prediction)
        contours = read_any_rtstruct(prediction if drawn[0] else reference, on.geometry, frame=frame)
        return (contours, on) if drawn[0] else (on, contours)
    partial = [recognize(path).kind == "dicom" for path in (prediction, reference)]
    if partial[0] == partial[1]:
        ours, theirs = read_any_labels(prediction), read_any_labels(reference)
        theirs = moved(theirs, lambda labels: with_size_of(ours.geometry, labels, reference))
        return moved(ours, lambda labels: with_size_of(theirs.geometry, labels, prediction)), theirs
    from medseg.io.dicom_results.read_seg import read_any_seg

    part, other = (prediction, reference) if partial[0] else (reference, prediction)
    whole = read_any_labels(other)
    on_grid = moved(read_any_seg(part, whole.geometry), lambda labels: regrid(labels, whole.geometry, where=part))
    return (on_grid, whole) if partial[0] else (whole, on_grid)


def _frame_of(path: Path) -> str | None:
    """Frame of reference of a label file, which only DICOM states."""
    if recognize(path).kind != "dicom":
        return None
    from medseg.io.dicom.header import read_header

    frame = read_header(path).elements.get("FrameOfReferenceUID")
    return str(frame) if frame else None


def _is_contours(path: Path) -> bool:
    if not path.is_file() or recognize(path).kind != "dicom":
        return False
    from medseg.io.dicom_results.label_objects import look

    try:
        return look(path).drawn_on is not None
    except InputError:
        return False  # whatever it is, reading it says what is wrong
