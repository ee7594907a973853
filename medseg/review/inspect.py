"""Finds every volume in some files and folders and reads it to its last voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import MoreThan0
from medseg.draw.thumbnail import thumbnail
from medseg.errors import MedsegError, UsageError
from medseg.io.discover import discover
from medseg.io.files.atomic import atomic_path, write_text
from medseg.io.files.writable import check_not_read, output_folder
from medseg.io.read import read_scan
from medseg.isolation.each import each_isolated
from medseg.isolation.process import Guard
from medseg.models.card import ModelCard
from medseg.review.inspect_manifest import checked_manifest, list_volumes
from medseg.review.inspect_page import inspection_page
from medseg.review.inspection import Inspection, VolumeReport
from medseg.tracking.resolve import resolve_model
from medseg.types.geometry import Geometry
from medseg.types.scan import Discovery, FoundScan, Scan
from medseg.types.series_criteria import SeriesCriteria

NOT_TAKEN = "not taken for the model"
THUMBNAIL = 192  # longer side, pixels


@check_arguments
def inspect(
    inputs: Sequence[Path | str] | Path | str,
    out: Path | str | None = None,
    *,
    model: str | Path | None = None,
    manifest: Path | str | None = None,
    root: Path | str | None = None,
    headers_only: bool = False,
    allow_uneven: bool = False,
    allow_incomplete: bool = False,
    max_memory: MoreThan0 | None = None,
    max_seconds: MoreThan0 | None = None,
) -> Inspection:
    """Find every volume and read it, so that a valid one is known to be readable to its last voxel.

    Parameters
    ----------
    inputs : path or sequence of path
        Files and folders, mixed.
    out : path, optional
        Folder for index.html, a page with all of this, and a PNG of each volume.
    model : str or path, optional
        Say of each volume whether this model would withhold it before any network is run, and of DICOM volumes whether
        it would take them of their study, and why.
    manifest : path, optional
        CSV file to list the volumes in, for `medseg.predict`; with `model`, those that it would take, and their
        channels. Each has its hash, or with `headers_only` its size and time.
    root : path, optional
        Folder that paths in the manifest are relative to, for those below it; without it, the manifest's own.
    headers_only : bool
        Trust the voxels without reading them: quick, and no proof against truncated files.
    allow_uneven : bool
        Resample DICOM series with uneven slices onto an even grid, instead of rejecting them.
    allow_incomplete : bool
        Read DICOM series that lost a part without it, instead of rejecting them.
    max_memory, max_seconds : float, optional
        What reading one header or one volume may use: GiB, 9/10 of what is free by default, and seconds.

    Returns
    -------
    Inspection
        Every volume with its verdict, and why each other file is skipped.

    Raises
    ------
    UsageError
        When an input or the model does not exist, or the manifest cannot be written, or would replace an input.
    """
    if root is not None and manifest is None:
        raise UsageError("--root goes with --manifest", fix="Omit it, or name the manifest.")
    folder = None if out is None else output_folder(out)
    table = None if manifest is None else checked_manifest(manifest, root)
    paths = [Path(path) for path in listed(inputs)]
    card = None if model is None else resolve_model(model).card
    criteria = None if card is None else card.series_criteria()
    guard = Guard(max_memory, max_seconds)
    discovery: Discovery = discover(paths, guard=guard)
    _check_outputs(discovery, folder, table)
    read = partial(
        _report,
        headers_only=headers_only,
        allow_uneven=allow_uneven,
        allow_incomplete=allow_incomplete,
        draws=table is None or folder is not None,  # of a hundred thousand volumes, no thumbnails are kept for nobody
        card=card,
    )
    reports = (
        VolumeReport(found, reason=report.what, fix=report.fix) if isinstance(report, MedsegError) else report
        for found, report in each_isolated(read, discovery.found, guard)
    )
    if criteria is not None:
        fits = _fits(discovery, criteria, paths)
        reports = (replace(report, fit=_joined(fits.get(report.found.case_id), report.fit)) for report in reports)
    inspection = Inspection(tuple(reports), discovery.skipped)
    if table is not None:
        list_volumes(inspection, table, root, card, paths, hashes=not headers_only)
    if folder is not None:
        _write(inspection, folder, ", ".join(map(str, paths)))
    return inspection


def _check_outputs(discovery: Discovery, folder: Path | None, table: Path | None) -> None:
    """Refuse outputs in the place of what was found, such as a page beside 2D images, whose names its own would be."""
    outs = [] if table is None else [table]
    if folder is not None:
        outs += [folder / f"{found.case_id}.png" for found in discovery.found] + [folder / "index.html"]
    files = [file for found in discovery.found for file in found.files]
    check_not_read(outs, [*files, *(left.path for left in discovery.skipped)])


def _write(inspection: Inspection, out: Path, title: str) -> None:
    for volume in inspection.volumes:
        if volume.thumbnail is not None:
            with atomic_path(out / f"{volume.found.case_id}.png") as part:
                volume.thumbnail.save(part)
    write_text(out / "index.html", inspection_page(inspection, title))


def _fits(discovery: Discovery, criteria: SeriesCriteria, inputs: Sequence[Path]) -> dict[str, str]:
    from medseg.io.dicom.series_choice import choose_series, judge

    chosen = {scan.case_id: bool(scan.notes) for scan in choose_series(discovery, criteria, inputs).found}
    words = {None: NOT_TAKEN, True: "taken for the model", False: "taken, the only one of its study"}
    return {
        scan.case_id: f"{words[chosen.get(scan.case_id)]}: {judge(scan, criteria)}"
        for scan in discovery.found
        if scan.format == "dicom"
    }


def _joined(of_study: str | None, gate: str) -> str:
    """Join what is said of a volume within its study, and by the gate, which is not asked about one not taken."""
    if of_study is None:
        return gate
    return of_study if of_study.startswith(NOT_TAKEN) or not gate else f"{of_study}. {gate}"


def _gate(scan: Scan, card: ModelCard | None) -> str:
    """What the gate says of a scan before the network; nothing of a model of several parts, each with its own."""
    if card is None or card.composite is not None:
        return ""
    from medseg.infer.gate.scan import refuse_before_network

    why = refuse_before_network(scan, card)
    if why is None:
        return f"Nothing speaks against it for {card.name} before a network is run"
    return f"{card.name} would withhold it: {why.reason}"


def _report(
    found: FoundScan,
    *,
    headers_only: bool,
    allow_uneven: bool,
    allow_incomplete: bool,
    draws: bool,
    card: ModelCard | None = None,
) -> VolumeReport:
    about = _about(found) if found.format == "dicom" else {}
    try:
        if headers_only:
            geometry, notes = _headers(found, allow_uneven, allow_incomplete)
            return VolumeReport(found, geometry, notes=notes, **about)
        scan = read_scan(found, allow_uneven=allow_uneven, allow_incomplete=allow_incomplete)
        return replace(_full(found, scan, about, draws=draws), fit=_gate(scan, card))
    except MedsegError as error:
        return VolumeReport(found, reason=str(error.what), fix=error.fix, **about)


def _full(found: FoundScan, scan: Scan, about: dict[str, Any], *, draws: bool) -> VolumeReport:
    return VolumeReport(
        found,
        scan.geometry,
        notes=(*scan.source.warnings, *scan.source.notes),
        channels=scan.channels,
        value_type=str(scan.array.dtype),
        values=(float(scan.array.min()), float(scan.array.max())),
        thumbnail=thumbnail(scan, THUMBNAIL) if draws else None,
        **about,
    )


def _headers(found: FoundScan, allow_uneven: bool, allow_incomplete: bool) -> tuple[Geometry | None, tuple[str, ...]]:
    """Grid and notes of a volume by its headers; formats of one file were checked when they were found."""
    if found.format != "dicom":
        return None, ()
    from medseg.io.dicom.geometry import lay_out
    from medseg.io.dicom.series import check_complete, volume_of

    warnings = check_complete(found, allow_incomplete=allow_incomplete)
    volume = volume_of(found)
    layout = lay_out(volume.frames, allow_uneven=allow_uneven)
    return layout.geometry, (*warnings, *volume.warnings, *layout.warnings, *volume.notes, *layout.notes)


def _about(found: FoundScan) -> dict[str, Any]:
    """What the header of the first file says of the series; nothing of the patient."""
    import hashlib

    from medseg.io.dicom.header import lenient, read_header

    try:
        with lenient():
            get = read_header(found.files[0]).elements.get
            number, text = get("SeriesNumber"), " ".join(str(get("SeriesDescription") or "").split())
            return {
                "modality": str(get("Modality") or "") or None,
                "study": hashlib.sha256(str(get("StudyInstanceUID")).encode()).hexdigest()[:10],
                "series": " ".join(str(part) for part in (number, text) if part not in (None, "")),
                "body_part": str(get("BodyPartExamined") or ""),
            }
    except (MedsegError, ValueError, TypeError):
        return {}
