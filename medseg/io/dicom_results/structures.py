"""The structures of an RT Structure Set: which frame and images each was drawn on, and the voxels it encloses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseg.errors import FormatLimitation, GeometryMismatch, InputError, MedsegError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.header import read_object
from medseg.io.dicom.plane import LPS
from medseg.io.dicom_results.contours import distinct, fill
from medseg.types import Code, Geometry, LabelClass
from medseg.types.labels import PALETTE

# How far a contour may lie from the slice it is drawn on, and lean out of it, as a fraction of the slice spacing.
OFF_SLICE = 0.25
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


def read_structures(path: Path, pattern: str = ".*") -> tuple[Structure, ...]:
    """Read the structures whose whole name matches the pattern, in any case, in the order of the file."""
    dataset = read_object(path, "RTSTRUCT")
    try:
        chosen = [roi for roi in dataset.StructureSetROISequence if _matches(pattern, str(roi.ROIName))]
        drawn = {int(item.ReferencedROINumber): item for item in dataset.ROIContourSequence}
        codes = _codes(dataset)
        only = {str(frame.FrameOfReferenceUID) for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ()}
        structures = tuple(
            _structure(value, roi, drawn.get(int(roi.ROINumber), Dataset()), codes, only)
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


def _structure(value: int, roi: Dataset, item: Dataset, codes: dict[int, Code], only: set[str]) -> Structure:
    color = tuple(int(c) for c in item.get("ROIDisplayColor") or PALETTE[(value - 1) % len(PALETTE)])
    name = str(roi.ROIName or f"class-{value}")
    entry = LabelClass(value, name, code=codes.get(int(roi.ROINumber)), color=(color[0], color[1], color[2]))
    stated = str(roi.get("ReferencedFrameOfReferenceUID") or "")
    contours = tuple(item.get("ContourSequence") or ())
    images = {
        str(image.get("ReferencedSOPInstanceUID"))
        for contour in contours
        for image in contour.get("ContourImageSequence") or ()
    }
    return Structure(
        entry, stated or (next(iter(only)) if len(only) == 1 else None), frozenset(images), contours, frozenset(only)
    )


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


def _matches(pattern: str, name: str) -> bool:
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


def enclosed(structure: Structure, geometry: Geometry, path: Path) -> tuple[npt.NDArray[np.bool_], tuple[str, ...]]:
    """Mask of the voxels of a structure, shape (X, Y, Z), and warnings of what may be wrong with its contours."""
    name = structure.entry.name
    on_slices: dict[int, list[npt.NDArray[np.float64]]] = {}
    outside = open_lines = twice = 0
    for contour in structure.contours:
        if not str(contour.get("ContourGeometricType")).startswith("CLOSED"):
            open_lines += 1
            continue
        voxels = geometry.to_voxel(_points(contour, name, path) @ LPS)
        k = round(float(np.median(voxels[:, 2])))
        if np.abs(voxels[:, 2] - k).max() > OFF_SLICE:
            raise FormatLimitation(
                f"a contour of '{name}' does not lie on a slice of the scan",
                where=path,
                fix="Give the series it was drawn on.",
            )
        if 0 <= k < geometry.shape[2]:
            on_slices.setdefault(k, []).append(voxels[:, :2])
        else:
            outside += 1
    if outside and not on_slices:
        raise GeometryMismatch(f"'{name}' lies outside the scan", where=path, fix="Give the series it was drawn on.")
    mask = np.zeros(geometry.shape, dtype=bool)
    for k, contours in on_slices.items():
        once = distinct(contours, geometry.shape[:2])
        twice += len(contours) - len(once)
        mask[:, :, k] = fill(once, geometry.shape[:2])
    return mask, tuple(_warnings(name, mask, on_slices, outside=outside, open_lines=open_lines, twice=twice))


def _points(contour: Dataset, name: str, path: Path) -> npt.NDArray[np.float64]:
    """Corners of a contour, (N, 3), mm, LPS+."""
    try:
        data = contour.ContourData
        if isinstance(data, bytes):  # longer than an element of explicit kind can state, so of none
            data = data.decode("ascii").split("\\")
        points = np.asarray(data, dtype=np.float64).reshape(-1, 3)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError(f"a contour of '{name}' has no valid points", where=path, fix=AGAIN) from error
    if not len(points) or not np.isfinite(points).all():
        raise InputError(f"a contour of '{name}' has no valid points", where=path, fix=AGAIN)
    return points


def _warnings(
    name: str, mask: npt.NDArray[np.bool_], slices: Iterable[int], *, outside: int, open_lines: int, twice: int
) -> Iterable[str]:
    used = sorted(slices)
    if open_lines:
        yield f"Points and open lines of '{name}' enclose nothing and were skipped ({open_lines})"
    if outside:
        yield f"{outside} contours of '{name}' lie outside the scan and were cut off"
    if twice:
        yield f"{twice} contours of '{name}' are given twice and were taken once"
    if not used:
        yield f"'{name}' has no closed contours and is empty"
    elif not mask.any():
        yield f"The contours of '{name}' enclose the center of no voxel: it is empty"
    elif gaps := used[-1] - used[0] + 1 - len(used):
        yield f"'{name}' has no contour on {gaps} of the slices between its first and its last"
