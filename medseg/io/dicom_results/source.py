"""The series a result refers to: its headers, slice by slice, in the order of the label map's third axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.io.dicom.cause import cause
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom.plane import LPS, SLACK, Plane, functional_group, planes_of
from medseg.types import Geometry, LabelMap, Source

LONGEST_SH = 16
TYPE_2 = (
    "AccessionNumber", "PatientBirthDate", "PatientID", "PatientName", "PatientSex", "ReferringPhysicianName",
    "StudyDate", "StudyID", "StudyTime",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The source of a label map, ready to be referred to.

    Headers have no pixels, are decoded to UTF-8, and have every type 2 element of patient and study: one for each slice
    along the label map's third axis, or a single one of a multi-frame object. Where the labels are on a resampled grid,
    one for each slice of the series; see `on_slices`.
    """

    headers: tuple[Dataset, ...]
    frames: tuple[int, ...] | None  # of a multi-frame object, the frame (from 0) of each slice
    planes: tuple[Plane, ...]  # where each slice lies, by the headers
    # Of labels on a grid resampled from uneven slices: the label slice nearest to each slice of the series.
    slices: tuple[int, ...] | None = None

    @property
    def first(self) -> Dataset:
        """The header that stands for the series."""
        return self.headers[0]

    @property
    def slice_spacing(self) -> float:
        """Distance in mm between neighboring slices along their normal; of a single slice, its thickness."""
        if len(self.planes) < 2:
            return _thickness(self.first)
        normal = np.cross(*self.planes[0].axes.T)
        step = (self.planes[-1].position - self.planes[0].position) / (len(self.planes) - 1)
        return float(abs(step @ normal) / np.linalg.norm(normal))

    def on_slices(self, labels: LabelMap) -> npt.NDArray[Any]:
        """Labels of the series' own slices, (columns, rows, slices): each slice has the label slice it lies in."""
        return labels.array if self.slices is None else labels.array[:, :, self.slices]

    def instance_of(self, k: int) -> Dataset:
        """Header of the instance that holds the k-th slice."""
        return self.headers[0 if self.frames is not None else k]

    def reference_to(self, k: int) -> Dataset:
        """Item that refers to the k-th slice: its instance, and its frame where there are several."""
        item = reference(self.instance_of(k))
        if self.frames is not None:
            item.ReferencedFrameNumber = self.frames[k] + 1
        return item


def reference(instance: Dataset) -> Dataset:
    """Item that refers to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    return item


@lenient()
def read_source(geometry: Geometry, source: Source) -> SourceSeries:
    """Read the headers of a DICOM source again and find the slice of each label slice by its position.

    A `GeometryMismatch` where the labels are not on the grid of the series.
    """
    if source.format != "dicom" or not source.files:
        raise FormatLimitation(
            "DICOM objects refer to the DICOM series they were made from, and this scan is not one",
            fix="Write NIfTI or NRRD instead, or give the DICOM series as the source.",
        )
    headers = [_read_header(path) for path in source.files]
    if len({h.get("SeriesInstanceUID") for h in headers}) > 1 or headers[0].get("SeriesInstanceUID") is None:
        raise FormatLimitation(
            "the source files are not of one series, to which a DICOM object could refer",
            where=source.files[0].parent,
            fix="Write NIfTI or NRRD instead, or give the files of one series.",
        )
    if not headers[0].get("FrameOfReferenceUID"):
        raise FormatLimitation(
            "the series has no frame of reference, so no DICOM object can say where its voxels lie",
            where=source.files[0].parent,
            fix="Write NIfTI or NRRD instead.",
        )
    planes = [(number, frame, plane) for number, header in enumerate(headers) for frame, plane in planes_of(header)]
    chosen = _match(geometry, [plane for _, _, plane in planes], source.files[0].parent, source.slice_places)
    slices = [planes[index] for index in chosen]
    single = slices[0][1] is None
    if not single and len({number for number, _, _ in slices}) > 1:
        raise FormatLimitation(
            "the slices are spread over several multi-frame objects, and a DICOM object made of them can refer to one",
            where=source.files[0].parent,
            fix="Write NIfTI or NRRD instead.",
        )
    _check_identities(headers, source.files[0].parent)
    ordered = [headers[number] for number, _, _ in slices] if single else [headers[slices[0][0]]]
    frames = None if single else tuple(int(frame or 0) for _, frame, _ in slices)
    nearest = None if source.slice_places is None else tuple(round(place) for place in source.slice_places)
    series = SourceSeries(tuple(ordered), frames, tuple(plane for _, _, plane in slices), nearest)
    for header in {id(h): h for h in ordered}.values():
        _tidy(header, series)
    return series


def _check_identities(headers: Sequence[Dataset], where: Path) -> None:
    """Refuse instances that no object could refer to: those without UIDs, and those that share one."""
    for keyword, name in (("StudyInstanceUID", "study"), ("SOPClassUID", "SOP class"), ("SOPInstanceUID", "instance")):
        if not all(header.get(keyword) for header in headers):
            raise FormatLimitation(
                f"the series has no {name} UID, which every DICOM object that refers to it must state",
                where=where,
                fix="Write NIfTI or NRRD instead, or fetch the series from the archive again.",
            )
    for keyword, what in (("StudyInstanceUID", "studies"), ("PatientID", "patients")):
        if len({str(header.get(keyword) or "").strip() for header in headers}) > 1:
            raise FormatLimitation(
                f"the slices are of several {what}", where=where, fix="Write NIfTI or NRRD instead, or separate them."
            )
    if len({header.SOPInstanceUID for header in headers}) < len(headers):
        raise FormatLimitation(
            "several files share one SOP instance UID, so no DICOM object can refer to one of them",
            where=where,
            fix="Write NIfTI or NRRD instead, or fetch the series from the archive again.",
        )


def _match(
    geometry: Geometry, planes: Sequence[Plane], where: Path, places: Sequence[float] | None = None
) -> list[int]:
    """Index of the plane of each label slice; where `places` are given, of the slice at each of these instead."""
    mismatch = "Resample the labels onto the series, or give the series they were made on."
    columns, rows, slices = geometry.shape
    if any(plane.size != (columns, rows) for plane in planes):
        raise GeometryMismatch(
            f"labels of {columns} x {rows} x {slices} voxels do not fit slices of "
            f"{planes[0].size[0]} columns and {planes[0].size[1]} rows",
            where=where,
            fix=mismatch,
        )
    corners = np.array([(0, 0), (columns - 1, 0), (0, rows - 1)])
    positions = np.stack([plane.position + corners @ plane.axes.T for plane in planes]) @ LPS
    found = geometry.to_voxel(positions)  # (planes, corners, ijk)
    along = np.arange(slices, dtype=np.float64) if places is None else np.asarray(places)
    k = np.abs(found[:, 0, 2][:, None] - along).argmin(axis=1)
    expected = np.concatenate(
        [
            np.broadcast_to(corners, (len(planes), 3, 2)),
            np.broadcast_to(along[k][:, None, None], (len(planes), 3, 1)),
        ],
        axis=2,
    )
    off = np.abs(found - expected).max(axis=(1, 2))
    chosen: list[int] = []
    for number in range(len(along)):
        candidates = np.flatnonzero(k == number)
        best = candidates[np.argmin(off[candidates])] if len(candidates) else None
        if best is None or off[best] > SLACK:
            how = "has no slice there" if best is None else f"is {off[best]:.2g} voxels off"
            raise GeometryMismatch(
                f"slice {number} of the labels does not lie on a slice of the series: the series {how}",
                where=where,
                fix=mismatch,
            )
        chosen.append(int(best))
    return chosen


def _read_header(path: Path) -> Dataset:
    try:
        return read_dicom(path, stop_before_pixels=True)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError(
            f"the source cannot be read again ({cause(error)})",
            where=path,
            fix="Keep the source files in place until the results are written.",
        ) from error


def _tidy(header: Dataset, series: SourceSeries) -> None:
    """Make a header what writers of derived objects can copy from, without changing what it says.

    Text becomes UTF-8, missing type 2 elements become empty, values the standard forbids become empty rather than being
    passed on, and what is said of the slices is what their positions say.
    """
    header.decode()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in TYPE_2:
        if keyword not in header or header[keyword].value is None:
            setattr(header, keyword, "")
    if header.PatientSex not in ("M", "F", "O", ""):
        header.PatientSex = ""
    if len(header.StudyID) > LONGEST_SH:
        header.StudyID = ""
    for keyword in ("PatientBirthDate", "StudyDate", "StudyTime"):
        if not _is_moment(header, keyword):
            setattr(header, keyword, "")
    measures = header
    if series.frames is not None:
        shared = header.SharedFunctionalGroupsSequence[0]
        frame = header.PerFrameFunctionalGroupsSequence[series.frames[0]]
        for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
            if keyword not in shared:
                shared[keyword] = frame[keyword]
        measures = shared.PixelMeasuresSequence[0]
    else:
        header.ImageOrientationPatient = series.first.ImageOrientationPatient
        header.PixelSpacing = series.first.PixelSpacing
    if not measures.get("SliceThickness"):
        measures.SliceThickness = f"{series.slice_spacing:.8g}"
    if series.slices is None:
        measures.SpacingBetweenSlices = f"{series.slice_spacing:.8g}"
    elif "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices  # there is no one spacing


def _is_moment(header: Dataset, keyword: str) -> bool:
    from pydicom.valuerep import DA, TM

    try:
        (TM if keyword.endswith("Time") else DA)(header[keyword].value)
    except (ValueError, TypeError):
        return False
    return True


def _thickness(header: Dataset) -> float:
    measures = header
    if header.get("SharedFunctionalGroupsSequence"):
        shared = header.SharedFunctionalGroupsSequence[0]
        frame = header.PerFrameFunctionalGroupsSequence[0]
        measures = functional_group(frame, shared, "PixelMeasuresSequence")
    return float(measures.get("SliceThickness") or measures.get("SpacingBetweenSlices") or 1.0)
