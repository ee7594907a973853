"""Labels on their way to radiologists: one label map, any number of formats, each on the scan's own grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medseg.config.arguments import check_arguments
from medseg.config.bounds import LabelFormats, Pattern, names_in
from medseg.errors import MedsegError, UsageError
from medseg.io.files.case_id import file_name
from medseg.io.files.writable import check_not_read, output_folder
from medseg.io.formats import MANUAL, WRITERS, Labeled, write
from medseg.io.instances import IDS, TABLE, read_instances
from medseg.io.object_labels import object_labels
from medseg.io.read import load_scan, read_any_labels
from medseg.isolation.boundary import insist
from medseg.prepare.regrid import covers_slab, regrid
from medseg.tracking.resolve import resolve_model
from medseg.types import (
    AnyLabels,
    LabelClass,
    LabelMap,
    LabelTable,
    ModelIdentity,
    OverlappingLabels,
    Scan,
    Source,
)
from medseg.types.overlapping import moved

PART_FAILED = 3
EVERY = ".*"  # structure of an RTSTRUCT
log = logging.getLogger("medseg.review.export")


@check_arguments
def export(
    labels: Path | str,
    out: Path | str,
    *,
    format: LabelFormats,
    source: Path | str | None = None,
    model: str | Path | None = None,
    manual: bool = False,
    reviewer: str | None = None,
    structures: Pattern = EVERY,
) -> list[Path]:
    """Write a label map in formats that radiology, radiotherapy and 3D programs read.

    Parameters
    ----------
    labels : path
        NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT; or ``instances.nii.gz`` beside ``instances.csv``, of which each
        object becomes a class.
    out : path
        Folder for the files, made if missing.
    format : str or sequence of str
        Names from `medseg.io.formats.WRITERS`; in one string, with commas between them.
    source : path, optional
        The scan the labels belong to: a file, or the folder of a DICOM series. DICOM formats and RTSTRUCT input need
        it. The labels are put on its grid where their voxels coincide; nothing is resampled.
    model : str or path, optional
        The model that made the labels. Its names, codes and colors are used where the labels carry none.
    manual : bool
        Whether a person drew the labels. DICOM formats need either this or a model.
    reviewer : str, optional
        Who drew or reviewed them: content creator of a DICOM SEG, operator of an RTSTRUCT.
    structures : str
        Of an RTSTRUCT, which structures to take: a regular expression for their whole names.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        When an option is missing or unknown, or a file would take the place of the labels or the scan.
    GeometryMismatch
        When the labels are not on the scan's grid.
    FormatLimitation
        When a format cannot carry the labels; the other formats are written.
    """
    folder = output_folder(out)
    formats = names_in(format)
    _check(formats, source, model, manual)
    scan = None if source is None else insist(load_scan, Path(source))
    names = (*formats, *(("dicom-seg", "dicom-seg-objects") if "sr" in formats else ()))
    read = [labels, *(() if scan is None else scan.source.files)]
    check_not_read((folder / WRITERS[name].file_name for name in names), read)
    identity = MANUAL if manual else ModelIdentity("origin not stated", "", "")
    table = LabelTable(())
    if model is not None:
        package = resolve_model(model)
        table, identity = package.card.table, package.identity
    item = replace(
        insist(_read, Path(labels), scan, structures, table), model=replace(identity, reviewer=reviewer or "")
    )
    shown = file_name(Path(labels))  # in the log, which is handed around
    written: dict[Path, None] = {}
    failures: list[MedsegError] = []
    for name in formats:
        try:
            files, notes, _ = insist(write, name, item, folder)
        except MedsegError as error:
            if len(formats) > 1:  # of one alone, the error that is raised says all
                log.error("%s", error.about(f"{shown}: not written as {name}"))
            failures.append(error)
            continue
        written |= dict.fromkeys(files)
        log.info("%s: written as %s", shown, name)
        for note in notes:
            log.warning("%s", note)
    if failures:
        failures[0].exit_code = PART_FAILED if written else failures[0].exit_code
        raise failures[0]
    return list(written)


def _check(formats: Sequence[str], source: Path | str | None, model: str | Path | None, manual: bool) -> None:
    if not formats:
        raise UsageError("--format: no format was named", fix=f"Choose among {', '.join(WRITERS)}.")
    if model is not None and manual:
        raise UsageError("labels are made by a model or manually, not both", fix="Give either --model or --manual.")
    dicom = [name for name in formats if WRITERS[name].needs_dicom]
    if dicom and source is None:
        raise UsageError(f"{dicom[0]} refers to the DICOM series of the scan", fix="Give its folder with --source.")
    if dicom and model is None and not manual:
        raise UsageError(
            f"{dicom[0]} states what made the labels, and that is not known",
            fix="Give the model with --model, or --manual where a person drew them.",
        )


def _read(path: Path, scan: Scan | None, structures: str, table: LabelTable) -> Labeled:
    """Labels on the scan's grid, with what a model's table says of their classes."""
    if structures != EVERY and not _is_rtstruct(path):
        fix = "Omit it; every class is written."
        raise UsageError("it is for an RTSTRUCT, and the labels are none", where=f"--structures {structures}", fix=fix)
    source = Source("array") if scan is None else scan.source
    objects = None
    labels: AnyLabels
    if path.name == IDS and path.with_name(TABLE).is_file():
        objects = read_instances(path.parent)
        objects = replace(objects, table=_named(objects.table, table, path))
        labels = object_labels(objects)
    elif _is_rtstruct(path):
        from medseg.io.dicom_results.rtstruct import read_any_rtstruct

        if scan is None:
            raise UsageError("contours need the scan they were drawn on", where=path, fix="Give it with --source.")
        labels = read_any_rtstruct(path, scan, structures)
    else:
        if scan is not None and source.files:
            from medseg.io.dicom_results.patient import check_patient

            check_patient(path, source.files[0])
        labels = read_any_labels(path)
        own = _named(labels.table, table, path)
        if isinstance(labels, OverlappingLabels):
            labels = labels.with_classes(own)
        else:
            labels = LabelMap(labels.array, labels.geometry, own)
    if scan is not None:
        if not covers_slab(labels.geometry, scan.geometry):
            log.warning(
                "%s: the labels are on a grid of %s voxels and the scan on one of %s: check that they belong together",
                path,
                " x ".join(map(str, labels.geometry.shape)),
                " x ".join(map(str, scan.geometry.shape)),
            )
        grid = scan.geometry
        labels = moved(labels, lambda one: regrid(one, grid, where=path))
    if objects is not None and isinstance(labels, LabelMap):
        objects = replace(objects, ids=labels.array.astype(np.int32), geometry=labels.geometry)
    return Labeled(labels, source, MANUAL, instances=objects)


def _is_rtstruct(path: Path) -> bool:
    from pydicom.uid import RTStructureSetStorage

    from medseg.io.dicom.inflated import read_dicom

    if not path.is_file():
        raise UsageError("there is no such file", where=path, fix="Check the path.")
    try:
        header = read_dicom(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
    except Exception:  # pydicom raises nearly anything on damaged files
        return False
    return bool(header.get("SOPClassUID") == RTStructureSetStorage)


def _named(own: LabelTable, table: LabelTable, where: Path) -> LabelTable:
    """Give classes without names the model's; those that name themselves are believed, and get the model's codes.

    Codes go by value and name together: a file of another model may use the same values for something else.
    """
    of_model = {entry.value: entry for entry in table}
    if not of_model:
        return own
    if all(entry.name == f"class-{entry.value}" for entry in own):
        if foreign := {entry.value for entry in own} - of_model.keys():
            raise UsageError(
                f"the labels hold the value {min(foreign)}, which the model does not make",
                where=where,
                fix="Name the model that made them.",
            )
        return table
    return LabelTable(tuple(_coded(entry, of_model.get(entry.value)) for entry in own))


def _coded(entry: LabelClass, of_model: LabelClass | None) -> LabelClass:
    if of_model is None or entry.code is not None or entry.name != of_model.name:
        return entry
    return replace(entry, category=of_model.category, code=of_model.code)
