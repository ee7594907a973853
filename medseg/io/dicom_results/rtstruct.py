"""RT Structure Sets: label maps as the contours of radiotherapy, and contours as label maps."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.io.dicom.header import read_object
from medseg.io.dicom.plane import LPS
from medseg.io.dicom_results.coding import table_of
from medseg.io.dicom_results.contours import fill
from medseg.io.dicom_results.identity import write_sealed
from medseg.io.dicom_results.proof import dice_of, identical
from medseg.io.dicom_results.rtstruct_dataset import build_rtstruct
from medseg.io.dicom_results.source import read_source
from medseg.types import Code, Geometry, LabelClass, LabelMap, ModelIdentity, Scan, Source
from medseg.types.labels import PALETTE, smallest_label_dtype
from medseg.types.run import Measured

# How far a contour may lie from the slice it is drawn on, and lean out of it, as a fraction of the slice spacing.
OFF_SLICE = 0.25
AGAIN = "Export it again."
log = logging.getLogger("medseg.io.dicom_results.rtstruct")


def read_rtstruct(path: Path, on: Scan | Geometry, pattern: str = ".*") -> LabelMap:
    """Read the structures of an RTSTRUCT as a label map on the grid they were drawn on.

    A pixel belongs to a structure where its center lies inside an odd number of the structure's contours on that slice,
    so that contours inside contours are holes. With a scan, frames of reference are compared too. Only structures whose
    whole name matches the pattern, in any case, are read; values count from 1 in the order of the file. Overlapping
    structures are a `FormatLimitation`.
    """
    geometry = on if isinstance(on, Geometry) else on.geometry
    dataset = read_object(path, "RTSTRUCT")
    try:
        if isinstance(on, Scan):
            _check_frame(dataset, on.source.frame_of_reference_uid, path)
        chosen = [roi for roi in dataset.StructureSetROISequence if _matches(pattern, str(roi.ROIName))]
        drawn = {int(item.ReferencedROINumber): item for item in dataset.ROIContourSequence}
        codes = _codes(dataset)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"a required part is missing or wrong ({error})", where=path, fix=AGAIN) from error
    if not chosen:
        names = ", ".join(f"'{roi.ROIName}'" for roi in dataset.StructureSetROISequence) or "none"
        raise InputError(f"no structure matches '{pattern}'", where=path, fix=f"It has: {names}.")
    array = np.zeros(geometry.shape, smallest_label_dtype(len(chosen)))
    classes = []
    for value, roi in enumerate(chosen, start=1):
        item = drawn.get(int(roi.ROINumber), Dataset())
        color = tuple(int(c) for c in item.get("ROIDisplayColor") or PALETTE[(value - 1) % len(PALETTE)])
        name = str(roi.ROIName or f"class-{value}")
        classes.append(
            LabelClass(value, name, code=codes.get(int(roi.ROINumber)), color=(color[0], color[1], color[2]))
        )
        mask = _filled(item, geometry, name, path)
        if array[mask].any():
            raise FormatLimitation(
                f"'{name}' overlaps another structure, and a label map holds one class for each voxel",
                where=path,
                fix="Read them one at a time, with a pattern for each.",
            )
        array[mask] = value
    return LabelMap(array, geometry, table_of(classes))


def write_rtstruct(labels: LabelMap, source: Source, path: Path, *, model: ModelIdentity) -> Measured:
    """Write a label map as an RTSTRUCT; return the Dice of reading it back.

    Contours run half-way between pixels, so that filling them at pixel centers gives the labels back; holes are cut by
    keyholes, as DICOM asks. The same labels, source and model give the same file.
    """
    series = read_source(labels.geometry, source)
    if series.slices is not None:
        raise FormatLimitation(
            "contours of unevenly spaced slices cannot be verified by reading them back",
            fix="Write dicom-seg, which holds an image for each slice, or nifti.",
        )
    return write_sealed(build_rtstruct(labels, series, model), series.first, path, lambda part: _prove(part, labels))


def _prove(path: Path, labels: LabelMap) -> Measured:
    """Read the structures back and compare each with the class it was made of."""
    back = read_rtstruct(path, labels.geometry)
    agreement = {}
    for number, entry in enumerate(labels.table, start=1):
        own, read = labels.array == entry.value, back.array == number
        agreement[entry.name] = dice_of(int((own & read).sum()), int(read.sum()), int(own.sum()))
    return identical(agreement)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name, re.IGNORECASE) is not None
    except re.error as error:
        raise InputError(f"'{pattern}' is not a regular expression ({error})", fix="Try the plain name.") from error


def _check_frame(dataset: Dataset, expected: str | None, path: Path) -> None:
    frames = {str(roi.get("ReferencedFrameOfReferenceUID") or "") for roi in dataset.StructureSetROISequence} - {""}
    if expected and frames and expected not in frames:
        raise GeometryMismatch(
            "the structures are drawn in another frame of reference than the scan's",
            where=path,
            fix="Give the series they were drawn on; a registration may lie between the two.",
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


def _filled(item: Dataset, geometry: Geometry, name: str, path: Path) -> npt.NDArray[np.bool_]:
    """Mask of one structure, shape (X, Y, Z)."""
    on_slices: dict[int, list[npt.NDArray[np.float64]]] = {}
    outside = 0
    for contour in item.get("ContourSequence") or ():
        if not str(contour.get("ContourGeometricType")).startswith("CLOSED"):
            log.warning("%s: points and open lines of '%s' enclose nothing and are skipped", path, name)
            continue
        try:
            data = contour.ContourData
            if isinstance(data, bytes):  # longer than an element of explicit kind can state, so of none
                data = data.decode("ascii").split("\\")
            points = np.asarray(data, dtype=np.float64).reshape(-1, 3)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"a contour of '{name}' has no valid points", where=path, fix=AGAIN) from error
        voxels = geometry.to_voxel(points @ LPS)
        if not len(voxels) or not np.isfinite(voxels).all():
            raise InputError(f"a contour of '{name}' has no valid points", where=path, fix=AGAIN)
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
    if outside:
        log.warning("%s: %d contours of '%s' lie outside the scan and are cut off", path, outside, name)
    mask = np.zeros(geometry.shape, dtype=bool)
    for k, contours in on_slices.items():
        mask[:, :, k] = fill(contours, geometry.shape[:2])
    return mask
