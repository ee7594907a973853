"""Takes corrections drawn in any other program into a review."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medseg.config.arguments import check_arguments_of, listed
from medseg.errors import InputError, MedsegError, UsageError, with_code
from medseg.io.files.case_id import stem
from medseg.io.files.file_hash import file_sha256
from medseg.io.nifti_header import open_header
from medseg.isolation.boundary import STOPS, as_failure
from medseg.review.case_classes import in_case_classes
from medseg.review.events import check_name
from medseg.review.incoming import LabelsFile, find_labels
from medseg.review.match import Candidate, How, as_plain, match
from medseg.review.opening import open_store
from medseg.review.readings import labels_of
from medseg.review.review_case import ReviewCase
from medseg.review.revisions import Revision
from medseg.review.sources import CaseSource, read_sources
from medseg.review.store import Store
from medseg.types import Geometry, LabelMap

log = logging.getLogger("medseg.review")

IMPORTED = "imported"  # kind of the event beside that of the revision


@dataclass(frozen=True, repr=False)
class ImportedFile:
    """What became of one file."""

    path: Path
    state: Literal["imported", "unchanged", "refused"]
    case_id: str = ""  # empty where no case was found
    matched_by: How | None = None
    revision: int | None = None
    changed_voxels: int | None = None  # against the model's labels
    error: str | None = None
    code: str | None = None  # of the kind of error

    def __repr__(self) -> str:
        return f"ImportedFile({self.state}, case_id='{self.case_id}', revision={self.revision})"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**self.__dict__, "path": str(self.path)}


@dataclass(frozen=True)
class _Options:
    """How labels are taken; see `import_labels`."""

    reviewer: str
    case: str | None
    classes: Mapping[str, str]
    blind: bool
    replace: bool
    accept: bool

    @property
    def reader(self) -> str | None:
        """The reader whose events alone count."""
        return self.reviewer if self.blind else None


@dataclass(frozen=True, repr=False)
class Import:
    """What became of every file."""

    files: tuple[ImportedFile, ...]

    def __repr__(self) -> str:
        states = [file.state for file in self.files]
        return f"Import({', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states)) or 'nothing'})"

    @property
    def exit_code(self) -> int:
        """0 all taken, 3 some refused, 4 none taken."""
        refused = sum(file.state == "refused" for file in self.files)
        return 4 if refused == len(self.files) else 3 if refused else 0


@check_arguments_of("medseg.review.import_labels")
def import_labels(
    folder: Path | str,
    files: Sequence[Path | str] | Path | str,
    *,
    reviewer: str,
    case: str | None = None,
    classes: Mapping[str, str] | None = None,
    blind: bool = False,
    replace: bool = False,
    accept: bool = False,
    scans: Sequence[Path | str] | Path | str = (),
) -> Import:
    """Save labels drawn in another program as new revisions of the cases they belong to.

    A file belongs to the case of the DICOM series it refers to, else to the one whose grid it lies on, else, where
    several share a grid, to the one whose name it has; any other file is refused. Voxels are never resampled, and
    segments are told by their names. One file that is refused stops no other.

    Parameters
    ----------
    folder : path
        Results of `medseg predict`; a review is begun where there is none.
    files : path or sequence of path
        Files and folders of NIfTI, NRRD, MetaImage, DICOM SEG and RTSTRUCT, mixed.
    reviewer : str
        Who drew them.
    case : str, optional
        The case that the one file given belongs to.
    classes : mapping of str to str, optional
        Class of segments that have another name.
    blind : bool
        Whether this is a second reading, beside and unaware of any other person's.
    replace : bool
        Whether these labels come after those of another person, or of a case that was judged.
    accept : bool
        Whether to accept each case with its new labels.
    scans : path or sequence of path
        Where the scans are, if they were moved since.

    Returns
    -------
    Import
        What became of each file.

    Raises
    ------
    UsageError
        When the folder, the case or a file does not exist, or the reviewer's name cannot be one.
    """
    check_name(reviewer)
    paths = [Path(path) for path in listed(files)]
    found, refused = find_labels(paths)
    if case is not None and len(found) + len(refused) != 1:
        raise UsageError(
            f"--case {case} is for one file of labels, and there are {len(found)}", fix="Give one file with --case."
        )
    options = _Options(reviewer, case, dict(classes or {}), blind, replace, accept)
    done = [ImportedFile(path, "refused", error=why, code=InputError.code_of_kind()) for path, why in refused]
    with open_store(Path(folder), create=True, scans=[Path(path) for path in listed(scans)]) as store:
        if case is not None:
            store.result(case)
        candidates = candidates_of(store)
        taken: set[str] = set()
        for file in found:
            one = _import(store, file, candidates, options, taken)
            if one.state != "refused":
                taken.add(one.case_id)
            done.append(one)
    for one in done:
        if one.state == "refused":  # not its path, which may name a patient
            log.error("%s", with_code(f"A file was refused: {one.error}", one.code))
        else:
            log.info("%s: %s, matched by %s", one.case_id, one.state, one.matched_by)
    return Import(tuple(sorted(done, key=lambda one: one.path)))


def candidates_of(store: Store) -> list[Candidate]:
    """Return every case that has labels, with what files of labels can be matched by."""
    sources = read_sources(store.results.folder)
    candidates = []
    for case_id, result in store.results.cases().items():
        source = sources.get(case_id, CaseSource())
        names = as_plain([case_id, *([stem(Path(source.path).name)] if source.path and not source.series_uid else [])])
        grid = cache(partial(_grid, store, case_id, result.labels_path))  # read once, however many files there are
        candidates.append(Candidate(case_id, names, source.series_uid or None, grid))
    return candidates


def _grid(store: Store, case_id: str, labels: Path) -> Geometry:
    return open_header(labels).geometry if labels.name.endswith(".nii.gz") else store.model_labels(case_id).geometry


def _import(
    store: Store, file: LabelsFile, candidates: Sequence[Candidate], options: _Options, taken: set[str]
) -> ImportedFile:
    case_id = ""
    how: How | None = None
    try:
        case_id, how = (options.case, "given") if options.case is not None else match(file.look(), candidates)
        if case_id in taken:
            raise InputError(f"another file given is of case {case_id} too", fix="Give one file for each case.")
        model = store.model_labels(case_id)
        labels = in_case_classes(file.read(store, case_id, model.geometry), store.table(case_id), options.classes)
        before = store.case(case_id, options.reader)
        if not (options.blind or options.replace):
            _check_alone(before, options.reviewer)
        same = before.newest is not None and _equal(labels_of(store, case_id, before.revision), labels)
        revision = before.newest if same and before.newest else _save(store, file, labels, before, options, how)
        _say_what_is_gone(revision)
        if options.accept and not (same and before.is_judged):
            who, reader = options.reviewer, options.reader
            store.verdict(case_id, kind="accept", revision=revision.number, who=who, reader=reader)
    except (*STOPS, OSError):
        raise
    except BaseException as error:  # other programs leave nearly anything in a file
        failed = as_failure(error)
        return ImportedFile(file.path, "refused", case_id, how, error=_sentence(failed), code=failed.code)
    state: Literal["imported", "unchanged"] = "unchanged" if same else "imported"
    return ImportedFile(file.path, state, case_id, how, revision.number, revision.changed_voxels)


def _save(
    store: Store, file: LabelsFile, labels: LabelMap, before: ReviewCase, options: _Options, how: How
) -> Revision:
    revision = store.save_labels(
        before.case_id,
        labels,
        who=options.reviewer,
        expected=before.revision,
        origin=f"{file.title}, imported",
        reader=options.reader,
    )
    body = {
        "revision": revision.number,
        "format": file.title,
        "file_sha256": file_sha256(file.path),
        "matched_by": how,
    }
    store.record(options.reviewer, IMPORTED, body, before.case_id)
    return revision


def _say_what_is_gone(revision: Revision) -> None:
    """Warn of classes that the model found and the file has nothing of: deleted, or never part of it."""
    for name, dice in revision.dice_with_model.items():
        if dice == 0 and not revision.volume_ml[name]:
            log.warning("%s: the file has nothing of '%s', so the case has none now", revision.case_id, name)


def _check_alone(before: ReviewCase, reviewer: str) -> None:
    """Refuse to follow another person's work, or a verdict, without having been asked to."""
    fix = "Use --blind for a second reading beside it, or --replace where these labels come after it."
    if before.is_judged and before.verdict is not None:
        raise InputError(f"case {before.case_id} is {before.state} by {before.verdict.who}", fix=fix)
    if before.newest is not None and before.newest.who != reviewer:
        raise InputError(f"{before.newest.who} saved revision {before.revision} of case {before.case_id}", fix=fix)


def _equal(before: LabelMap, labels: LabelMap) -> bool:
    return bool(np.array_equal(before.array, labels.array))


def _sentence(error: MedsegError) -> str:
    """The error without the file's path, which is shown beside it and may name a patient."""
    return f"{error.what.rstrip('.')}. {error.fix}" if error.fix else error.what
