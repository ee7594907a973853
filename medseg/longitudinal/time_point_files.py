"""Reads a time point: a case's folder of results with the scan it was made of, or a label map and its scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pydicom

from medseg.engine.journal import STATUS_FILE, read_status
from medseg.errors import InputError, MedsegError, UsageError
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.discover import discover
from medseg.io.files.case_id import safe, stem
from medseg.io.files.patient_names import public_name
from medseg.io.instances import IDS, TABLE, read_instances
from medseg.io.read import read_any_labels, read_scan
from medseg.isolation.boundary import insist
from medseg.longitudinal.time_point import TimePoint
from medseg.prepare.regrid import regrid
from medseg.review.made_by import MadeBy, coded, identity_of, made_by
from medseg.review.match import Candidate, Incoming, as_plain, match, plain_names
from medseg.review.opening import open_store
from medseg.review.readings import labels_of
from medseg.review.results import CaseResult, Results
from medseg.review.scan_finder import ScanFinder
from medseg.types import FoundScan, Geometry, Instances, ModelIdentity, Source
from medseg.types.overlapping import AnyLabels, moved

UNKNOWN = ModelIdentity("origin not stated", "", "")


def read_time_points(
    paths: tuple[Path, Path], scans: Sequence[Path], *, needs_scans: bool
) -> tuple[TimePoint, TimePoint]:
    """Read two time points.

    Scans of results are found by their content. Of two label files, two `scans` are theirs in their order; of more, or
    of a folder, each file's is found by series, grid and name.

    - `needs_scans`: whether a label file without a scan is an error.

    Raises
    ------
    UsageError
        When a path is neither a case's results nor a label map.
    InputError
        When labels or a scan cannot be read, or a scan is not found.
    """
    in_order = list(scans) if len(scans) == 2 else [None, None]
    before, after = (
        insist(_read, path, tuple(scans), own, needs_scans) for path, own in zip(paths, in_order, strict=True)
    )
    return before, after


def _read(path: Path, scans: tuple[Path, ...], own: Path | None, needs_scan: bool) -> TimePoint:
    if path.is_dir():
        return _of_results(path, scans)
    if not path.exists():
        raise UsageError("there is no such file or folder", where=path, fix="Check the path.")
    if path.parent.joinpath(STATUS_FILE).is_file() and not scans:
        return _of_results(path.parent, scans)
    return _of_labels(path, scans, own, needs_scan=needs_scan)


def _of_results(folder: Path, scans: Sequence[Path]) -> TimePoint:
    """Labels of a case as they were accepted in its review, or else as the model made them."""
    status = read_status(folder)
    if status is None:
        raise UsageError(
            "this is no case's folder of results",
            where=folder,
            fix="Give OUT/CASE of `medseg predict`, or a file of labels with its scan.",
        )
    results = Results(folder.resolve().parent)
    result = results.case(folder.resolve().name)
    if result is None:
        raise InputError(
            f"the case has no labels: it is {status.state}", where=folder.name, fix="Choose a case that is done."
        )
    found = ScanFinder(results.folder, scans).find(result.case_id, result.input_sha256)[0]
    scan = read_scan(found, allow_uneven=True, allow_incomplete=True)
    maker = _maker(results.folder)
    model_labels = _on_grid(read_any_labels(result.labels_path), scan.geometry, result.labels_path)
    labels, notes, warnings = _reviewed(results.folder, result, model_labels)
    objects = None if notes else _objects(result, scan.geometry)
    return TimePoint(
        result.case_id,
        coded(labels, result, maker),
        scan,
        identity_of(result, maker),
        objects,
        *_who_and_when(scan.source),
        half_widths_ml={} if notes else half_widths(result),  # of corrected labels nobody measured any
        warnings=(*warnings, *(f"{result.case_id}: {text}" for text in result.content.get("warnings", ()))),
        notes=notes,
    )


def half_widths(result: CaseResult) -> dict[str, float]:
    """Half-width of the interval of each class's volume, of those for which the model's card has one."""
    volumes = result.content.get("volumes") or {}
    return {
        name: figures["interval"]["high"] - figures["volume_ml"]
        for name, figures in volumes.items()
        if figures.get("interval") and "volume_ml" in figures
    }


def _maker(results: Path) -> MadeBy:
    try:
        return made_by(results)
    except InputError:
        return MadeBy(UNKNOWN)


def _reviewed(
    results: Path, result: CaseResult, labels: AnyLabels
) -> tuple[AnyLabels, tuple[str, ...], tuple[str, ...]]:
    """What a person accepted in place of the model's labels, with a note; a warning where they were rejected."""
    try:
        store = open_store(results)
    except MedsegError:  # nothing was reviewed, or by several readers who keep their own
        return labels, (), ()
    with store:
        case = store.case(result.case_id)
        if case.state == "rejected":
            return labels, (), (f"{result.case_id}: its labels were rejected in the review.",)
        if case.state != "accepted" or case.verdict is None or not case.verdict.revision:
            return labels, (), ()
        accepted = labels_of(store, result.case_id, case.verdict.revision)
    return accepted, (f"{result.case_id}: the labels are those that were accepted in the review.",), ()


def _objects(result: CaseResult, grid: Geometry) -> Instances | None:
    if not (result.folder / IDS).is_file() or not (result.folder / TABLE).is_file():
        return None
    objects = read_instances(result.folder)
    objects.geometry.match(grid, what="objects and scan", where=result.folder.name)
    return objects


def _of_labels(path: Path, scans: Sequence[Path], own: Path | None, *, needs_scan: bool) -> TimePoint:
    labels = read_any_labels(path)
    case_id = safe(public_name(stem(path.name).removesuffix(".seg")))
    found = None if not scans else _scan_of(path, labels, [own] if own is not None else scans)
    if found is None:
        if needs_scan:
            raise InputError(
                "the scan of these labels is needed to register the two time points",
                where=path,
                fix="Give both scans with --scans, the earlier first, or say with --registered that both label maps "
                "lie in one space already.",
            )
        return TimePoint(case_id, labels, None, UNKNOWN)
    scan = read_scan(found, allow_uneven=True, allow_incomplete=True)
    return TimePoint(case_id, _on_grid(labels, scan.geometry, path), scan, UNKNOWN, None, *_who_and_when(scan.source))


def _scan_of(path: Path, labels: AnyLabels, scans: Sequence[Path]) -> FoundScan:
    """Find a label map's scan: the only one, else by the series it refers to, its grid or its name."""
    found = [scan for scan in discover(scans).found if path.resolve() not in [file.resolve() for file in scan.files]]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError("no scan was found", where=", ".join(map(str, scans)), fix="Give the scan with --scans.")
    grids: dict[str, Geometry] = {}

    def grid(scan: FoundScan) -> Geometry:
        if scan.case_id not in grids:
            grids[scan.case_id] = read_scan(scan, allow_uneven=True, allow_incomplete=True).geometry
        return grids[scan.case_id]

    candidates = [
        Candidate(scan.case_id, as_plain([scan.case_id, scan.file_name]), scan.series_uid, partial(grid, scan))
        for scan in found
    ]
    incoming = Incoming(plain_names(path), _series_of(path), labels.geometry)
    case_id, _ = match(incoming, candidates, where=path)
    return next(scan for scan in found if scan.case_id == case_id)


def _series_of(path: Path) -> tuple[str, ...]:
    from medseg.io.dicom_results.label_objects import look

    try:
        return look(path).made_of if pydicom.misc.is_dicom(path) else ()
    except MedsegError:
        return ()


def _on_grid(labels: AnyLabels, grid: Geometry, where: Path) -> AnyLabels:
    """Labels on the scan's grid where their voxels coincide; nothing is resampled."""
    return labels if labels.geometry.matches(grid) else moved(labels, partial(regrid, geometry=grid, where=where.name))


def _who_and_when(source: Source) -> tuple[str, date | None]:
    """Whose scan it is and the day it was made, by its DICOM header; nothing where it has none."""
    if source.format != "dicom" or not source.files:
        return "", None
    with lenient():
        header = read_dicom(source.files[0], stop_before_pixels=True, force=True)
        patient = str(header.get("PatientID") or "").strip()
        stated = [str(header.get(key) or "") for key in ("AcquisitionDate", "SeriesDate", "StudyDate", "ContentDate")]
    return patient, next((day for text in stated if (day := _day(text)) is not None), None)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text[:8], "%Y%m%d").date()
    except ValueError:
        return None
