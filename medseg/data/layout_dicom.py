"""A folder of DICOM as it was exported: series, and the RTSTRUCT or SEG that were drawn on them, however they lie.

A case is a series of the first channel's modality, the series of the other modalities in the same frame of reference,
and the structures drawn on the first. Cases of one patient stay together in a split.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom

from medseg.data.class_table import class_table
from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.modality import dicom_modality
from medseg.data.name_pattern import patterns
from medseg.errors import InputError
from medseg.io.dicom.header import lenient, starts_as_dicom
from medseg.io.dicom.inflated import read_dicom
from medseg.io.dicom_results.structures import matches
from medseg.io.discover import survey
from medseg.types.scan import FoundScan

log = logging.getLogger("medseg.data")

# Files looked at to tell whether a folder is one of DICOM.
LOOKED_AT = 200


@dataclass(frozen=True)
class _Series:
    """A volume, and what pairs it with others."""

    scan: FoundScan
    modality: str
    patient: str
    frame: str | None


@dataclass(frozen=True)
class _Drawing:
    """An RTSTRUCT or SEG: the series it was drawn on, and the names in it."""

    path: Path
    on: tuple[str, ...]
    names: tuple[str, ...]


def recognize(path: Path) -> bool:
    """Whether a folder holds DICOM, by its first files."""
    if not path.is_dir():
        return False
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith("."))
    return any(starts_as_dicom(file) for file, _ in zip(files, range(LOOKED_AT), strict=False))


def read(path: Path, given: DatasetDescription | None = None) -> Dataset:
    """Read a dataset from a folder of DICOM.

    - `given`: channels and classes. Without channels, the one modality that structures were drawn on is the only
      channel; without classes, every structure name is one.
    """
    given = given or DatasetDescription()
    found = survey([path])
    series = [_look(scan) for scan in found.discovery.found if scan.format == "dicom"]
    drawings = [drawing for file in sorted(found.label_objects) if (drawing := _look_at_drawing(file))]
    wanted = _channels(path, given, series, drawings)
    first = wanted[0].modality
    assert first is not None
    patterns = list(given.structures.values())
    by_uid: dict[str, list[_Drawing]] = defaultdict(list)
    for drawing in drawings:
        if not patterns or any(matches(pattern, name) for pattern in patterns for name in drawing.names):
            for uid in drawing.on:
                by_uid[uid].append(drawing)
    cases = [
        case
        for one in series
        if one.modality == first and (case := _case(one, wanted, series, by_uid.get(str(one.scan.series_uid), [])))
    ]
    if not any(case.reference for case in cases):
        names_here = ", ".join(sorted({f"'{name}'" for drawing in drawings for name in drawing.names})) or "none"
        raise InputError(
            f"no structure {'matching ' + ', '.join(patterns) + ' ' if patterns else ''}was drawn on a {first} series",
            where=path,
            fix=f"The structures and segments here are {names_here}.",
        )
    used = {case.reference for case in cases}
    names = sorted({name for drawing in drawings if drawing.path in used for name in drawing.names})
    table = given.table or class_table(dict(enumerate(names, start=1)))
    structures = given.structures or {c.value: re.escape(c.name) for c in table}
    return Dataset(
        name=given.name or path.resolve().name,
        folder=path,
        layout="dicom",
        channels=tuple(wanted),
        table=table,
        cases=tuple(cases),
        license=given.license,
        description=given.description,
        structures=structures,
        resample_channels=given.resample_channels,
    )


def _channels(
    path: Path, given: DatasetDescription, series: Sequence[_Series], drawings: Sequence[_Drawing]
) -> list[Channel]:
    if given.channels is not None:
        return [Channel(name, _modality(name, given, path)) for name, given in given.channels.items()]
    drawn_on = {uid for drawing in drawings for uid in drawing.on}
    possible = sorted({one.modality for one in series if one.scan.series_uid in drawn_on})
    if len(possible) != 1:
        modalities = ", ".join(possible) if possible else "no series"
        raise InputError(
            f"the channels are unclear, because structures were drawn on {modalities}",
            where=path,
            fix=_fix(path, drawings),
        )
    return [Channel(possible[0], possible[0])]


def _fix(path: Path, drawings: Sequence[_Drawing]) -> str:
    slices = [file for file in path.rglob("*.png") if not file.name.startswith(".")] if not drawings else []
    if slices:
        shown = patterns([file.relative_to(path).as_posix() for file in sorted(slices)])
        return (
            f"Where {shown} are labels, a PNG for each slice, stack those of each series in the order of its "
            "slices into one NIfTI file on its grid, beside the series as NIfTI (dcm2niix)."
        )
    return "Name the channels: --config FILE with dataset: {channels: {CT: CT}}."


def _modality(name: str, given: str | None, path: Path) -> str:
    modality = dicom_modality(given or name)
    if modality is None:
        raise InputError(f"'{given or name}' is not a modality", where=path, fix="Write CT, MR, PT, ...")
    return modality


def _case(
    first: _Series, wanted: Sequence[Channel], series: Sequence[_Series], drawings: Sequence[_Drawing]
) -> DatasetCase | None:
    """The case of a series of the first channel; None, with a warning, where another channel is missing or unclear."""
    found = [first.scan]
    for channel in wanted[1:]:
        same = [
            one
            for one in series
            if one.modality == channel.modality
            and one.patient == first.patient
            and one.frame == first.frame is not None
            and one is not first
        ]
        if len(same) != 1:
            log.warning(
                "%s skipped: %d series of %s share its frame of reference", first.scan.case_id, len(same), channel.name
            )
            return None
        found.append(same[0].scan)
    if len(drawings) > 1:
        log.warning("%s: %d segmentation objects belong to it, so none is used", first.scan.case_id, len(drawings))
    return DatasetCase(
        first.scan.case_id,
        tuple(scan.files[0] for scan in found),
        drawings[0].path if len(drawings) == 1 else None,
        first.patient,
        found=tuple(found),
    )


def _look(scan: FoundScan) -> _Series:
    header = _header(scan.files[0], ["Modality", "PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"])
    frame = header.get("FrameOfReferenceUID")
    return _Series(scan, str(header.get("Modality") or ""), _patient(header), str(frame) if frame else None)


def patient_hash(path: Path) -> str:
    """Return what stands for the patient of a DICOM file: a hash, by which nobody is found."""
    return _patient(_header(path, ["PatientID", "PatientName", "StudyInstanceUID"]))


def _patient(header: pydicom.Dataset) -> str:
    who = f"{header.get('PatientID') or ''}/{header.get('PatientName') or ''}"
    # A patient without name or number is distinguished by the study.
    mark = who if who != "/" else str(header.get("StudyInstanceUID"))
    return hashlib.sha256(mark.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _look_at_drawing(path: Path) -> _Drawing | None:
    try:
        header = _header(path, None)
    except InputError as error:
        log.warning("%s", error)
        return None
    names = [str(item.get("ROIName", "")) for item in header.get("StructureSetROISequence") or ()]
    names += [str(item.get("SegmentLabel", "")) for item in header.get("SegmentSequence") or ()]
    uids = [str(item.SeriesInstanceUID) for item in header.get("ReferencedSeriesSequence") or ()]
    uids += [
        str(series.SeriesInstanceUID)
        for frame in header.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    ]
    return _Drawing(path, tuple(dict.fromkeys(uids)), tuple(names))


def _header(path: Path, tags: list[str] | None) -> pydicom.Dataset:
    try:
        with lenient():
            return read_dicom(path, stop_before_pixels=True, specific_tags=tags, force=True)
    except Exception as error:  # pydicom raises nearly anything on damaged files
        raise InputError("its DICOM header is damaged", where=path, fix="Copy it again.") from error
