"""Finds every scan under some files and folders, and says of every other file why it was skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.errors import MedsegError
from medseg.io.corrupt import with_case_ids
from medseg.io.files.case_id import file_case_ids, file_name, unique
from medseg.io.files.review_folder import is_review
from medseg.io.files.walk import Entry, absolute, walk
from medseg.io.formats import WRITERS
from medseg.io.recognize import FileKind, Recognized, claim_of, recognize
from medseg.isolation.apart import apart
from medseg.isolation.boundary import attempt
from medseg.isolation.each import each_isolated
from medseg.isolation.process import Guard
from medseg.types.scan import Discovery, FoundScan, ScanFormat, Skipped

# What medseg writes into a case's folder, where `status.json` lies beside it: results, not scans.
RESULTS = {
    *(writer.file_name for writer in WRITERS.values()),
    "labels.nrrd",  # in result folders of older versions
    "instances.nii.gz",
    "probabilities.nii.gz",
    "scores.nii.gz",  # the probabilities, in result folders of older versions
    "entropy.nii.gz",
    "measurements.csv",
    "preview.png",
    "status.json",
}

# Files of one scan each, and those of them whose headers a library written in C reads.
FILES = ("nifti", "nifti-pair", "nrrd", "meta")
# Kinds that lie beside scans more often than they are one.
ASKED_FOR: dict[FileKind, str] = {"image2d": "a 2D image", "arrays": "a file of arrays"}
READ_BY_C = ("nrrd", "meta", "image2d", "arrays")


def discover(inputs: Sequence[Path], *, keep_names: bool = False, guard: Guard | None = None) -> Discovery:
    """Find scans by their content, whatever their names; only headers are read.

    DICOM files are grouped by series and sorted into volumes. 2D images and files of plain arrays count as scans where
    they were named, or where nothing else under the same input is one. Neither order nor case ids depend on the order
    of the inputs. File names that look like a patient's are hashed in case ids and in what results call a file, unless
    `keep_names`.

    No file ends the search, whatever reading its header raises. Headers that a library written in C reads, and with
    limits in `guard` all headers, are read in a process of their own, so that a crash or a hang costs one file.
    """
    return survey(inputs, keep_names=keep_names, guard=guard).discovery


@dataclass(frozen=True)
class Survey:
    """A discovery, and what was found beside scans."""

    discovery: Discovery
    # DICOM SEG and RTSTRUCT: where each can be read, and what the discovery calls it within archives.
    label_objects: Mapping[Path, Path]


def survey(inputs: Sequence[Path], *, keep_names: bool = False, guard: Guard | None = None) -> Survey:
    """Find scans as `discover` does, and DICOM objects that hold labels."""
    listed, skipped = walk([Path(p) for p in inputs])
    entries = list(_with_archives(listed, skipped))
    shown = {entry.path: entry.shown for entry, _ in entries}
    found: list[FoundScan] = []
    roots: set[Path] = set()  # inputs with something other than 2D images in them
    dicom: list[Entry] = []
    images: list[tuple[Entry, FileKind]] = []
    data_files: set[Path] = set()
    others: list[Skipped] = []
    label_objects: list[Path] = []
    files = [(entry.path, recognized.kind) for entry, recognized in entries if recognized.kind in FILES]
    looked = _look_at_all(files, guard or Guard())
    for entry, recognized in entries:
        if _is_result(entry.path) and not entry.is_named:
            skipped.append(Skipped(entry.path, "it is a result of medseg"))
            continue
        if recognized.kind == "dicom":
            dicom.append(entry)
        elif recognized.kind in ASKED_FOR:
            images.append((entry, recognized.kind))
        elif entry.path in looked:
            scan = looked[entry.path]
            if isinstance(scan, FoundScan):
                found.append(scan)
                roots.add(entry.root)
                data_files.update(scan.files[1:])
            else:
                skipped.append(scan)
        else:
            corrupt = entry.is_named or recognized.claim is not None or recognized.kind in ("analyze", "unreadable")
            others.append(Skipped(entry.path, recognized.reason, _fix(recognized) if corrupt else None, corrupt))
    skipped += [left for left in others if left.path not in data_files]
    broken: set[Path] = set()  # files that may be of a DICOM series, and cannot be read
    if dicom:
        from medseg.io.dicom.broken import is_on_its_way
        from medseg.io.dicom.discover import find_volumes

        volumes, rest, label_objects = find_volumes(dicom, guard)
        broken = {left.path for left in others} | {left.path for left in rest if left.corrupt}
        broken |= {left.path for left in skipped if is_on_its_way(left.path)}
        broken -= set(label_objects)
        found += volumes
        skipped += rest
        series_files = {path for volume in volumes for path in volume.files}
        roots.update(entry.root for entry in dicom if entry.path in series_files)
    images_alone = [(entry.path, kind) for entry, kind in images if entry.is_named or entry.root not in roots]
    looked = _look_at_all(images_alone, guard or Guard())
    for entry, kind in images:
        if entry.path in looked:
            scan = looked[entry.path]
            (found if isinstance(scan, FoundScan) else skipped).append(scan)  # type: ignore[arg-type]
        else:
            reason = f"it is {ASKED_FOR[kind]} among scans"
            skipped.append(Skipped(entry.path, reason, "Name it on the command line if it is a scan."))
    paths = [left.path for left in skipped]
    skipped = [replace(left, path=shown.get(left.path, left.path)) for left in skipped]
    scans = _named(found, shown, keep_names)
    of_dicom = {entry.shown for entry in dicom}
    skipped = with_case_ids(skipped, [scan.case_id for scan in scans], of_dicom, keep_names=keep_names)
    if broken:
        from medseg.io.dicom.broken import beside_broken

        called = {path: left.case_id or left.source for path, left in zip(paths, skipped, strict=True)}
        scans = beside_broken(scans, {path: name for path, name in called.items() if path in broken})
    discovery = Discovery(scans, tuple(sorted(skipped, key=lambda left: absolute(left.path))))
    return Survey(discovery, {path: shown[path] for path in label_objects})


def _with_archives(entries: Iterable[Entry], skipped: list[Skipped]) -> Iterator[tuple[Entry, Recognized]]:
    """Recognize every file, and put what is in a zip archive in its place."""
    for entry in entries:
        recognized = _recognize(entry.path)
        if recognized.kind != "zip":
            yield entry, recognized
            continue
        from medseg.io.files.archive import unpack

        members = attempt(unpack, entry.path)
        if isinstance(members, MedsegError):
            skipped.append(Skipped.for_error(entry.path, members))
            continue
        for name, member in sorted(members, key=lambda member: member[0]):
            inside = entry.path / name
            if isinstance(member, MedsegError):
                skipped.append(Skipped.for_error(inside, member))
            elif any(part.startswith((".", "__MACOSX")) for part in name.parts):
                skipped.append(Skipped(inside, "it is a hidden file"))
            else:
                within = _recognize(member)
                if within.kind == "zip":
                    within = replace(within, reason="it is an archive inside an archive")
                yield Entry(member, entry.root, inside), within


def _recognize(path: Path) -> Recognized:
    recognized = attempt(recognize, path)
    if isinstance(recognized, MedsegError):
        return Recognized("unreadable", claim_of(path.name), recognized.what)
    return recognized


def _is_result(path: Path) -> bool:
    """Whether a file lies where medseg leaves its results, or where a review of them saves labels."""
    in_case = path.name in RESULTS and (path.parent / "status.json").is_file()
    return in_case or is_review(path.parent.parent)


def _fix(recognized: Recognized) -> str:
    """Say what to do about a file that should be a scan and is none."""
    if recognized.kind == "analyze":
        return "Convert it to NIfTI with known orientation."
    if recognized.kind == "unreadable":
        return "Check who may read the file."
    if recognized.kind == "zip":
        return "Unpack the outer archive, and give the folder."
    return "Copy or export it again; if it never was a scan, rename it or take it out of the folder."


def _look_at_all(files: Sequence[tuple[Path, FileKind]], guard: Guard) -> dict[Path, FoundScan | Skipped]:
    """Read the header of each file; one whose header ends in an error, or in a crash, is corrupt."""
    is_limited = guard != Guard()
    isolated = [file for file in files if is_limited or file[1] in READ_BY_C]
    here = set(files).difference(isolated)
    outcomes = [(file, attempt(_look, file)) for file in files if file in here]
    if len(isolated) == 1 and not is_limited:
        outcomes += [(file, attempt(_look_apart, *file)) for file in isolated]
    else:
        outcomes += each_isolated(_look, isolated, guard)
    return {
        path: Skipped.for_error(path, found) if isinstance(found, MedsegError) else found
        for (path, _), found in outcomes
    }


@apart
def _look_apart(path: Path, kind: FileKind) -> FoundScan:
    """Read the header of a file in the process that is kept for it: who loads many, one by one, starts one for all."""
    return _look((path, kind))


def _look(file: tuple[Path, FileKind]) -> FoundScan:
    """Read the header of a file; its case id is given later, when all names are known."""
    path, kind = file
    description: str
    files: tuple[Path, ...]
    scan_format: ScanFormat
    if kind in ("nifti", "nifti-pair"):
        from medseg.io import nifti

        scan_format, (description, files) = "nifti", nifti.look(path)
    elif kind == "nrrd" or kind == "meta":
        from medseg.io import itk

        scan_format, (description, files) = kind, itk.look(path, kind)
    elif kind == "arrays":
        from medseg.io import array_scan

        scan_format, (description, files) = "arrays", array_scan.look(path)
    else:
        from medseg.io import image2d

        scan_format, (description, files) = "image2d", image2d.look(path)
    several = re.search(r"(\d+) channels", description)
    return FoundScan("", scan_format, files, description=description, n_channels=int(several[1]) if several else 1)


def _named(found: list[FoundScan], shown: Mapping[Path, Path], keep_names: bool) -> tuple[FoundScan, ...]:
    """Give each scan that has none its case id, distinct from all others, and say what to call its file."""

    def place(scan: FoundScan) -> str:
        return absolute(shown[scan.files[0]])

    found = sorted(found, key=place)
    names = iter(file_case_ids([Path(place(scan)) for scan in found if not scan.case_id], keep_names=keep_names))
    ids = [scan.case_id or next(names) for scan in found]
    places = [place(scan) for scan in found]
    marks = [scan.series_uid or where for scan, where in zip(found, places, strict=True)]

    def inside(scan: FoundScan) -> tuple[Path, ...]:
        named = tuple(shown.get(file, file) for file in scan.files)
        return () if named == scan.files else named

    return tuple(
        replace(
            scan,
            case_id=case_id,
            file_name=file_name(shown[scan.files[0]], keep_names=keep_names),
            inside=inside(scan),
        )
        for case_id, scan in zip(unique(unique(ids, marks), places), found, strict=True)
    )
