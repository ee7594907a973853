"""The structures of an RT Structure Set: whose they are, and which frame and images each was drawn on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from medseg.errors import GeometryMismatch, InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.header import read_object
from medseg.types import Code, LabelClass
from medseg.types.labels import PALETTE

AGAIN = "Export it again."
ITS_SERIES = "Give the series they were drawn on; a registration may lie between the two."


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure, with its contours not yet looked at."""

    entry: LabelClass  # its value counts the structures chosen, from 1
    frame: str | None  # UID of the frame of reference its contours are in
    images: frozenset[str]  # UIDs of the images its contours were drawn on, where they say so
    contours: tuple[Dataset, ...]
    frames_of_file: frozenset[str]  # UIDs of the frames of reference that the whole file refers to
    patient: str  # ID of the patient the whole file is of; empty where it does not say


def read_structures(path: Path, pattern: str = ".*") -> tuple[Structure, ...]:
    """Read the structures whose whole name matches the pattern, in any case, in the order of the file."""
    dataset = read_object(path, "RTSTRUCT")
    try:
        chosen = [roi for roi in dataset.StructureSetROISequence if matches(pattern, str(roi.ROIName))]
        drawn = _contours(dataset, path)
        codes = _codes(dataset)
        only = {str(frame.FrameOfReferenceUID) for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ()}
        patient = str(dataset.get("PatientID") or "").strip()
        structures = tuple(
            _structure(value, roi, drawn.get(int(roi.ROINumber), []), codes, only, patient)
            for value, roi in enumerate(chosen, start=1)
        )
    except MedsegError:
        raise
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError(f"a required part is missing or wrong ({cause(error)})", where=path, fix=AGAIN) from error
    if not structures:
        names = ", ".join(f"'{roi.ROIName}'" for roi in dataset.StructureSetROISequence) or "none"
        raise InputError(f"no structure matches '{pattern}'", where=path, fix=f"It has: {names}.")
    return structures


def _contours(dataset: Dataset, path: Path) -> dict[int, list[Dataset]]:
    """Items that hold the contours of each structure, by its number: of one structure there may be several."""
    described = Counter(int(roi.ROINumber) for roi in dataset.StructureSetROISequence)
    number, times = max(described.items(), key=lambda one: one[1], default=(0, 0))
    if times > 1:
        raise InputError(
            f"{times} structures have the number {number}, so whose contours are whose is not known",
            where=path,
            fix=AGAIN,
        )
    drawn: dict[int, list[Dataset]] = {}
    for item in dataset.ROIContourSequence:
        drawn.setdefault(int(item.ReferencedROINumber), []).append(item)
    for number, items in drawn.items():
        if number not in described and any(item.get("ContourSequence") for item in items):
            raise InputError(
                f"it holds contours of a structure {number}, which it does not describe", where=path, fix=AGAIN
            )
    return drawn


def _structure(
    value: int, roi: Dataset, items: Sequence[Dataset], codes: dict[int, Code], only: set[str], patient: str
) -> Structure:
    stated_color = next((item.ROIDisplayColor for item in items if item.get("ROIDisplayColor")), None)
    color = tuple(int(c) for c in stated_color or PALETTE[(value - 1) % len(PALETTE)])
    name = str(roi.ROIName or f"class-{value}")
    entry = LabelClass(value, name, code=codes.get(int(roi.ROINumber)), color=(color[0], color[1], color[2]))
    stated = str(roi.get("ReferencedFrameOfReferenceUID") or "")
    contours = tuple(contour for item in items for contour in item.get("ContourSequence") or ())
    images = {
        str(image.get("ReferencedSOPInstanceUID"))
        for contour in contours
        for image in contour.get("ContourImageSequence") or ()
    }
    frame = stated or (next(iter(only)) if len(only) == 1 else None)
    return Structure(entry, frame, frozenset(images), contours, frozenset(only), patient)


def _codes(dataset: Dataset) -> dict[int, Code]:
    found = {}
    for item in dataset.get("RTROIObservationsSequence") or ():
        for code in (item.get("RTROIIdentificationCodeSequence") or ())[:1]:
            found[int(item.ReferencedROINumber)] = Code(
                str(code.get("CodeValue", "")),
                str(code.get("CodingSchemeDesignator", "")),
                str(code.get("CodeMeaning", "")),
            )
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether a regular expression describes a whole name, in capitals or not."""
    try:
        return re.fullmatch(pattern, name, re.IGNORECASE) is not None
    except re.error as error:
        raise InputError(f"'{pattern}' is not a regular expression ({error})", fix="Try the plain name.") from error


def in_frame(
    structures: Sequence[Structure], frame: str | None, path: Path
) -> tuple[tuple[Structure, ...], tuple[str, ...]]:
    """Return the structures drawn in a frame of reference, and a warning of each other; an error where none is.

    Where the grid's own frame is not known, all structures must be in one, and in one of those that the file refers to.
    """
    if frame is None:
        known = structures[0].frames_of_file
        frames = {structure.frame for structure in structures} - {None}
        if len(known) != 1 and len(frames) > 1:
            raise GeometryMismatch(
                f"the structures are drawn in {len(frames)} frames of reference, and which is the grid's is not known",
                where=path,
                fix="Convert them together with their series first: medseg convert SERIES RTSTRUCT --out DIR.",
            )
        frame = next(iter(known)) if len(known) == 1 else None
    fitting = tuple(s for s in structures if frame is None or s.frame in (None, frame))
    if not fitting:
        raise GeometryMismatch(
            "the structures are drawn in another frame of reference than the scan's", where=path, fix=ITS_SERIES
        )
    return fitting, tuple(
        f"'{s.entry.name}' is drawn in another frame of reference than the scan's and was skipped"
        for s in structures
        if s not in fitting
    )
