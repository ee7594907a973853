"""Writes whatever medseg can read, scans and label maps alike, in one format, with a record of what was decided."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import MoreThan0
from medseg.errors import InputError, MedsegError, UsageError, with_code
from medseg.io.corrupt import hashed_case_id
from medseg.io.discover import survey
from medseg.io.files.atomic import write_text
from medseg.io.files.case_id import file_name
from medseg.io.files.patient_names import public_name
from medseg.io.files.writable import check_not_read, output_folder
from medseg.io.formats import MANUAL, Labeled, write_file
from medseg.io.read import read_any_labels, read_scan
from medseg.isolation.boundary import attempt
from medseg.isolation.each import each_isolated
from medseg.isolation.process import Guard
from medseg.log_file import log_file
from medseg.types.geometry import Geometry
from medseg.types.overlapping import AnyLabels, OverlappingLabels
from medseg.types.scan import FoundScan, Scan, Source

log = logging.getLogger("medseg.io.convert")

FORMATS: dict[str, str] = {"nifti": ".nii.gz", "nrrd": ".nrrd", "mha": ".mha"}
Content = Literal["auto", "scan", "labels"]
OUTPUTS = {what + ending for what in ("image", "labels") for ending in FORMATS.values()}


@dataclass(frozen=True, repr=False)
class Converted:
    """What became of one input."""

    case_id: str
    path: Path | None = None  # None where it failed
    error: str | None = None
    notes: tuple[str, ...] = ()  # what was decided
    reason: str | None = None  # the error without the place of the file, with its code

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
    max_memory: MoreThan0 | None = None,
    max_seconds: MoreThan0 | None = None,
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
    max_memory, max_seconds : float, optional
        What one input may use: GiB, 9/10 of what is free by default, and seconds.

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
    guard = Guard(max_memory, max_seconds)
    found = survey(paths, keep_names=keep_names, guard=guard)
    scans = found.discovery.found
    with log_file(folder):
        allowed = {"allow_uneven": allow_uneven, "allow_incomplete": allow_incomplete}
        read = [file for one in scans for file in one.files] + [*found.label_objects.values()]
        named = tuple(file for file in read if file.name.lower() in OUTPUTS or file.is_symlink())
        how = _How(folder, format, content, allowed, keep_names, named)
        converted = [
            _shown(_failed(one.case_id, result) if isinstance(result, MedsegError) else result)
            for one, result in each_isolated(partial(_scan, how=how), scans, guard)
        ]
        objects, damaged = _distinct(found.label_objects)
        converted += map(_shown, damaged)
        for (case_id, *_), result in each_isolated(partial(_object, scans=scans, how=how), objects, guard):
            converted += map(_shown, [_failed(case_id, result)] if isinstance(result, MedsegError) else result)
    names = set(found.label_objects.values())
    corrupt = [left for left in found.discovery.skipped if left.corrupt and left.path not in names]
    return Conversion(
        tuple(converted), tuple(str(InputError(left.reason, where=left.path, fix=left.fix)) for left in corrupt)
    )


@dataclass(frozen=True)
class _How:
    """What to write, and where."""

    out: Path
    format: str
    content: Content
    allowed: Mapping[str, bool]
    keep_names: bool
    inputs: tuple[Path, ...]  # those called as outputs are, and links, which may lead to one


def _scan(found: FoundScan, *, how: _How) -> Converted:
    item: Scan | AnyLabels
    if how.content == "labels" or (how.content == "auto" and _declares_labels(found)):
        item = read_any_labels(found.files[0])
    else:
        item = read_scan(found, **how.allowed)
    return _write(found.case_id, how, found.places, item)


def _declares_labels(found: FoundScan) -> bool:
    """Whether a file says of itself that it holds labels."""
    if found.format == "nifti":
        from medseg.io import nifti

        return nifti.declares_labels(found.files[0])
    if found.format == "nrrd":
        from medseg.io.itk import SEGMENT_KEY
        from medseg.io.itk_header import read_header

        return any(map(SEGMENT_KEY.fullmatch, read_header(found.files[0], "nrrd").keys))
    return False


def _distinct(objects: Mapping[Path, Path]) -> tuple[list[tuple[str, Path, Path]], list[Converted]]:
    """List DICOM SEG and RTSTRUCT with their case ids, copies of one object once, and those that are damaged."""
    from medseg.io.dicom_results.label_objects import look

    distinct: dict[str, tuple[str, Path, Path]] = {}
    damaged = []
    for path, shown in objects.items():
        one = attempt(look, path)
        if isinstance(one, MedsegError):
            damaged.append(_failed(hashed_case_id(path), one))
        else:
            distinct.setdefault(one.case_id, (one.case_id, path, shown))
    return list(distinct.values()), damaged


def _object(item: tuple[str, Path, Path], *, scans: Sequence[FoundScan], how: _How) -> list[Converted]:
    """Convert a DICOM SEG or RTSTRUCT."""
    from medseg.io.dicom_results.label_objects import look

    own, path, shown = item
    every = [(labels, read) for read in look(path).read(scans) for labels in _in_files(read.labels, how)]
    done = []
    for number, (labels, read) in enumerate(every, 1):
        case_id = own if len(every) == 1 else f"{own}-{number}"
        one = attempt(_write, case_id, how, [shown], labels, read.warnings, read.notes)
        done.append(_failed(case_id, one) if isinstance(one, MedsegError) else one)
    return done


def _in_files(labels: AnyLabels, how: _How) -> list[AnyLabels]:
    """List what is written into a file each: one, but for classes that overlap in a format that has no place for it."""
    if isinstance(labels, OverlappingLabels) and how.format == "mha":
        return [labels.alone(entry) for entry in labels.table]
    return [labels]


def _failed(case_id: str, error: MedsegError) -> Converted:
    return Converted(case_id, error=str(error), reason=with_code(error.what, error.code))


def _shown(one: Converted) -> Converted:
    """Log what became of an input."""
    # Not where: the path of a file may name the patient, and the log goes to whoever is asked for help.
    if one.path is None:
        log.error("%s: %s", one.case_id, one.reason)
    for note in one.notes:
        log.info("%s: %s", one.case_id, note)
    return one


def _place(path: Path, keep_names: bool) -> str:
    """Return a file's path, with hashes for names in it that look like a patient's."""
    if keep_names:
        return str(path)
    return str(Path(*map(public_name, path.parent.parts), file_name(path)))


def _write(
    case_id: str,
    how: _How,
    files: Sequence[Path],
    item: Scan | AnyLabels,
    warnings: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Converted:
    path = how.out / case_id / (("labels" if not isinstance(item, Scan) else "image") + FORMATS[how.format])
    check_not_read(path, how.inputs)
    if isinstance(item, Scan):
        warnings, notes = item.source.warnings, item.source.notes
    _save(item, path)
    record = _record(item, path, [_place(file, how.keep_names) for file in files])
    record |= {"warnings": list(warnings), "notes": list(notes)}
    write_text(path.with_name("conversion.json"), json.dumps(record, indent=2) + "\n")
    return Converted(case_id, path, notes=(*warnings, *notes))


def _save(item: Scan | AnyLabels, path: Path) -> None:
    if not isinstance(item, Scan):
        write_file(Labeled(item, Source("array"), MANUAL), path)
    elif path.name.endswith(".nii.gz"):
        from medseg.io import nifti

        nifti.write_scan(item, path)
    else:
        from medseg.io import itk

        itk.write_scan(item, path)


def _record(item: Scan | AnyLabels, path: Path, files: Sequence[str]) -> dict[str, Any]:
    """What was written, as plain data."""
    geometry: Geometry = item.geometry
    record: dict[str, Any] = {
        "written": path.name,
        "medseg": version("medseg"),
        "files": list(files),
        "shape": list(geometry.shape),
        "spacing_mm": [round(s, 6) for s in geometry.spacing],
        "orientation": geometry.orientation,
        "affine": geometry.affine.tolist(),
    }
    if isinstance(item, OverlappingLabels):
        record |= {"value_type": "uint8", "channels": [c.name for c in item.table]}
    else:
        record["value_type"] = str(item.array.dtype)
    if not isinstance(item, Scan):
        return record | {"classes": {str(c.value): c.name for c in item.table}}
    source: Source = item.source
    return record | {
        "format": source.format,
        "channels": item.channels,
        "modality": item.modality,
        "series_uid": source.series_uid,
        "frame_of_reference_uid": source.frame_of_reference_uid,
    }
