"""Writes whatever medseg can read, scans and label maps alike, in one format, with a record of what was decided."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from medseg.config.arguments import check_arguments, listed
from medseg.errors import InputError, MedsegError, UsageError
from medseg.io.corrupt import hashed_case_id
from medseg.io.discover import survey
from medseg.io.files.atomic import write_text
from medseg.io.files.case_id import file_name
from medseg.io.files.patient_names import public_name
from medseg.io.files.writable import output_folder
from medseg.io.formats import MANUAL, Labeled, write_file
from medseg.io.read import read_labels, read_scan
from medseg.log_file import log_file
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap
from medseg.types.scan import FoundScan, Scan, Source

log = logging.getLogger("medseg.io.convert")

FORMATS: dict[str, str] = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha"}
Content = Literal["auto", "scan", "labels"]


@dataclass(frozen=True, repr=False)
class Converted:
    """What became of one input."""

    case_id: str
    path: Path | None = None  # None where it failed
    error: str | None = None
    notes: tuple[str, ...] = ()  # what was decided

    def __repr__(self) -> str:
        return f"Converted('{self.case_id}', {'failed' if self.path is None else self.path.name})"


@dataclass(frozen=True, repr=False)
class Conversion:
    """What became of all inputs."""

    converted: tuple[Converted, ...]  # one for each scan or label map found
    corrupt: tuple[str, ...]  # files that should have been one of either and could not be read

    def __repr__(self) -> str:
        failed = sum(one.path is None for one in self.converted)
        return f"Conversion({len(self.converted) - failed} converted, {failed} failed, {len(self.corrupt)} corrupt)"

    @property
    def exit_code(self) -> int:
        """0 all done, 3 part failed, 4 nothing done."""
        if not any(one.path for one in self.converted):
            return 4
        return 3 if self.corrupt or any(one.error for one in self.converted) else 0


@check_arguments
def convert(
    inputs: Sequence[str | Path] | str | Path,
    out: str | Path,
    *,
    format: Literal["nifti", "nrrd", "mha"] = "nifti",
    content: Content = "auto",
    allow_uneven: bool = False,
    keep_names: bool = False,
    allow_incomplete: bool = False,
) -> Conversion:
    """Write every scan and label map found as ``OUT/<case_id>/image.*`` or ``labels.*``.

    ``conversion.json`` beside each says where it came from, how it lies, and every decision taken. DICOM SEG and
    RTSTRUCT are labels, the latter on the grid of the series they were drawn on, which must be among the inputs.

    Parameters
    ----------
    inputs : path or sequence of paths
        Files and folders, mixed.
    out : str or Path
        Output folder, made where it is missing.
    format : {"nifti", "nrrd", "mha"}
        What to write.
    content : {"auto", "scan", "labels"}
        What a file holds that could be either; auto goes by what it says of itself.
    allow_uneven : bool
        Resample missing or unevenly spaced DICOM slices instead of rejecting the scan.
    keep_names : bool
        Leave file names that look like a patient's in case ids; by default they are hashed.
    allow_incomplete : bool
        Read DICOM series that lost a part without it, instead of rejecting them.

    Returns
    -------
    Conversion
        What became of each input; one that fails is an outcome, not an exception.

    Raises
    ------
    UsageError
        When an input does not exist or the format is unknown.
    """
    folder = output_folder(out)
    if format not in FORMATS:
        raise UsageError(f"there is no format '{format}' to convert to", fix=f"Choose among {', '.join(FORMATS)}.")
    paths = [Path(path) for path in listed(inputs)]
    found = survey(paths, keep_names=keep_names)
    scans = found.discovery.found
    with log_file(folder):
        allowed = {"allow_uneven": allow_uneven, "allow_incomplete": allow_incomplete}
        converted = [_scan(one, folder, format, content, allowed, keep_names) for one in scans]
        converted += _objects(found.label_objects, scans, folder, format, keep_names)
    names = set(found.label_objects.values())
    corrupt = [left for left in found.discovery.skipped if left.corrupt and left.path not in names]
    return Conversion(
        tuple(converted), tuple(str(InputError(left.reason, where=left.path, fix=left.fix)) for left in corrupt)
    )


def _scan(
    found: FoundScan, out: Path, format: str, content: Content, allowed: Mapping[str, bool], keep_names: bool
) -> Converted:
    try:
        item: Scan | LabelMap
        if content == "labels" or (content == "auto" and _declares_labels(found)):
            item = read_labels(found.files[0])
        else:
            item = read_scan(found, **allowed)
    except MedsegError as error:
        return _failed(found.case_id, error)
    return _write(found.case_id, out, format, [_place(path, keep_names) for path in found.files], item)


def _declares_labels(found: FoundScan) -> bool:
    """Whether a file says of itself that it holds labels."""
    if found.format == "nifti":
        from medseg.io import nifti

        return nifti.declares_labels(found.files[0])
    if found.format == "nrrd":
        from medseg.io.itk_header import read_header

        return "segment0_id" in read_header(found.files[0], "nrrd").fields
    return False


def _objects(
    objects: Mapping[Path, Path], scans: Sequence[FoundScan], out: Path, format: str, keep_names: bool
) -> Iterator[Converted]:
    """Convert DICOM SEG and RTSTRUCT; copies of one object once."""
    from medseg.io.dicom_results.label_objects import look

    done: set[str] = set()
    for path, shown in objects.items():
        try:
            one = look(path)
        except MedsegError as error:
            yield _failed(hashed_case_id(path), error)
            continue
        if one.case_id in done:
            continue
        done.add(one.case_id)
        try:
            every = [(labels, read.warnings) for read in one.read(scans) for labels in read.maps]
        except MedsegError as error:
            yield _failed(one.case_id, error)
            continue
        for number, (labels, warnings) in enumerate(every, 1):
            case_id = one.case_id if len(every) == 1 else f"{one.case_id}-{number}"
            yield _write(case_id, out, format, [_place(shown, keep_names)], labels, warnings)


def _failed(case_id: str, error: MedsegError) -> Converted:
    # Not where: the path of a file may name the patient, and the log goes to whoever is asked for help.
    log.error("%s: %s", case_id, error.what)
    return Converted(case_id, error=str(error))


def _place(path: Path, keep_names: bool) -> str:
    """Return a file's path, with hashes for names in it that look like a patient's."""
    if keep_names:
        return str(path)
    return str(Path(*map(public_name, path.parent.parts), file_name(path)))


def _write(
    case_id: str, out: Path, format: str, files: Sequence[str], item: Scan | LabelMap, warnings: tuple[str, ...] = ()
) -> Converted:
    path = out / case_id / (("labels" if isinstance(item, LabelMap) else "image") + FORMATS[format])
    notes = warnings if isinstance(item, LabelMap) else (*item.source.warnings, *item.source.notes)
    try:
        _save(item, path)
        write_text(path.with_name("conversion.json"), json.dumps(_record(item, path, files, warnings), indent=2) + "\n")
    except MedsegError as error:
        return _failed(case_id, error)
    for note in notes:
        log.info("%s: %s", case_id, note)
    return Converted(case_id, path, notes=notes)


def _save(item: Scan | LabelMap, path: Path) -> None:
    if isinstance(item, LabelMap):
        write_file(Labeled(item, Source("array"), MANUAL), path)
    elif path.name.endswith(".nii.gz"):
        from medseg.io import nifti

        nifti.write_scan(item, path)
    else:
        from medseg.io import itk

        itk.write_scan(item, path)


def _record(item: Scan | LabelMap, path: Path, files: Sequence[str], warnings: tuple[str, ...]) -> dict[str, Any]:
    """What was decided, as plain data."""
    geometry: Geometry = item.geometry
    record: dict[str, Any] = {
        "written": path.name,
        "medseg": version("medseg"),
        "files": list(files),
        "shape": list(geometry.shape),
        "spacing_mm": [round(s, 6) for s in geometry.spacing],
        "orientation": geometry.orientation,
        "affine": geometry.affine.tolist(),
        "value_type": str(item.array.dtype),
    }
    if isinstance(item, LabelMap):
        return record | {"classes": {str(c.value): c.name for c in item.table}, "warnings": list(warnings)}
    source: Source = item.source
    return record | {
        "format": source.format,
        "channels": item.channels,
        "modality": item.modality,
        "series_uid": source.series_uid,
        "frame_of_reference_uid": source.frame_of_reference_uid,
        "warnings": list(source.warnings),
        "notes": list(source.notes),
    }
