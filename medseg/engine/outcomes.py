"""How a case ended: not reached, done before, failed with its reason, or found so in the record of an earlier run."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from medseg.engine import journal
from medseg.engine.case_folder import CaseFolder, holds
from medseg.engine.pipeline import Pipeline
from medseg.engine.staging import is_here, listed_hash
from medseg.errors import MedsegError, NotForThisModel
from medseg.io.files.case_id import stem
from medseg.io.files.patient_names import names_a_patient
from medseg.io.files.temporary import PREFIX
from medseg.isolation.boundary import as_failure
from medseg.types.how_computed import HowComputed
from medseg.types.run import CaseOutcome, Volumes
from medseg.types.scan import FoundScan
from medseg.versions import versions

log = logging.getLogger("medseg.run")


@dataclass(frozen=True)
class Work:
    """What is done with every case of a run: by which pipeline, into which folder, and whether what is done counts."""

    pipeline: Pipeline
    out: Path
    overwrite: bool = False

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What decides the results of every case, but for the input."""
        return {"pipeline": self.pipeline.name, "steps": self.pipeline.identity(), "medseg": versions()["medseg"]}

    @cached_property
    def model(self) -> str:
        """Name, version and hash of the model, as results name it; empty of a pipeline without one."""
        return "; ".join(name for kind, name in self.pipeline.sources() if kind == "model")

    def case_key(self, input_hash: str) -> str:
        """Hash of everything that decides the results of a case."""
        return journal.case_key(input_hash, self.identity)


def pending(found: FoundScan, out: Path) -> CaseOutcome:
    """Return the outcome of a case not reached; its source names the file or kind of series, free of patient data.

    It has no folder where its scan lies in the one that would be its own: what is there stays as it is.
    """
    source = found.description or "DICOM series" if found.format == "dicom" else found.file_name or found.files[0].name
    folder = out / found.case_id
    return CaseOutcome(found.case_id, "pending", source, None if holds(folder, found.files) else folder)


def failure(base: CaseOutcome, what: str, fix: str | None, code: str | None = None) -> CaseOutcome:
    """Return the outcome of a case that failed; `code` is that of the kind of error."""
    return replace(base, state="failed", error=what, fix=fix, code=code)


def explained(base: CaseOutcome, error: BaseException) -> CaseOutcome:
    """Turn an exception into a reason and a fix that name no folder, because folders may carry patients' names."""
    match error:
        case NotForThisModel():
            return replace(base, state="withheld", error=error.what, fix=error.fix, code=error.code)
        case MedsegError():
            where = Path(error.where or base.source).name
            if where.startswith(PREFIX):  # where an archive was unpacked
                where = base.source
            if names_a_patient(stem(where)) and stem(where) not in base.case_id:
                where = base.source
            # A single file is named beside its reason anyway.
            what = error.what if where == base.source else f"{where}: {error.what}"
            return failure(base, what, error.fix, error.code)
        case _:
            failed = as_failure(error)
            return failure(base, failed.what, failed.fix, failed.code)


def record_failure(outcome: CaseOutcome, key: str = "", input_hash: str = "", model: str = "") -> None:
    """Leave the record of a failed or withheld case and nothing else, so that no half result is taken for a whole."""
    if outcome.folder is None:
        return
    try:
        folder = CaseFolder(outcome.folder)
        journal.finish(folder.path, key, input_hash, outcome, model)
        folder.publish()
    except (OSError, MedsegError) as error:
        log.debug("%s: no record is written", outcome.case_id, exc_info=error)


def record_corrupt(outcome: CaseOutcome, file: Path) -> None:
    """Leave the record of a file that should have been a scan, where the search gave it a case id."""
    try:
        digest = journal.hash_files([file])
    except OSError:
        digest = ""
    record_failure(outcome, input_hash=digest)


def expected(found: FoundScan, work: Work) -> CaseOutcome:
    """Return what a run would do with a case: pending, or current where nothing need be done."""
    base = pending(found, work.out)
    if work.overwrite:
        return base
    try:
        digest = journal.hash_case(found) if is_here(found) else listed_hash(found)
        if digest is None:  # only known once it is brought here
            return base
        key = work.case_key(digest)
    except OSError as error:
        return explained(base, error)
    status = journal.current(work.out / found.case_id, key)
    return base if status is None else from_status(base, status)


def recorded(found: FoundScan, out: Path) -> CaseOutcome:
    """Return what another process recorded of a case."""
    base = pending(found, out)
    status = journal.read_status(out / found.case_id)
    return base if status is None else from_status(base, status)


def so_far(found: FoundScan, work: Work) -> CaseOutcome:
    """Return what is known of a case that the run has yet to reach: the record of the same work, or that it is open."""
    base = pending(found, work.out)
    status = None if work.overwrite else journal.read_status(work.out / found.case_id)
    if status is None or status.state == "failed" or status.key != work.case_key(status.content["input_sha256"]):
        return base
    return from_status(base, status)


def from_status(base: CaseOutcome, status: journal.Status) -> CaseOutcome:
    """Fill in what a record holds."""
    content = status.content
    volumes, computed = content["volumes"], content["computed"]
    return replace(
        base,
        state="current" if status.state == "done" else status.state,
        error=content["error"],
        fix=content["fix"],
        code=content.get("code"),
        warnings=tuple(content["warnings"]),
        notes=tuple(content["notes"]),
        outputs=tuple(status.outputs),
        volumes=None if volumes is None else Volumes.from_json(volumes),
        review_priority=float(content["review_priority"]),
        computed=None if computed is None else HowComputed.from_json(computed),
        read_back=content.get("read_back", {}),
    )
