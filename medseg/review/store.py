"""The store of a review, `DIR/review/`: events in SQLite, and a file for each revision of a case's labels.

An acknowledged save is on the disk: the file is written, synced and renamed, then the event is committed, then the call
returns. Nothing in a case's own folder is ever touched. Several processes and threads may use one store.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, UsageError
from medseg.io.files.leftovers import sweep
from medseg.io.files.review_folder import DATABASE, LABELS, REVIEW, UNRECORDED, has_lost_its_trail, is_review
from medseg.review import label_files, verification
from medseg.review.case_store import CaseStore
from medseg.review.difference import difference
from medseg.review.events import Event
from medseg.review.results import Results
from medseg.review.review_case import (
    REASONS,
    SAVED,
    VERDICTS,
    ReviewCase,
    Revision,
    RevisionConflict,
    Verdict,
    VerdictKind,
    revisions,
    table_to_json,
    verdict,
)
from medseg.review.scan_finder import ScanFinder
from medseg.review.store_lock import StoreLock
from medseg.review.verification import Finding
from medseg.types import LabelMap, Source

log = logging.getLogger("medseg.review")
LONG_AGO = 3600.0  # seconds
LONGEST_NAME, LONGEST_COMMENT = 64, 2000


def open_store(folder: Path, *, create: bool = False, scans: Sequence[Path] = (), check: bool = True) -> Store:
    """Open the review of a folder of results.

    Parameters
    ----------
    folder : Path
        The ``--out`` of `medseg predict`.
    create : bool
        Whether to begin a review where there is none.
    scans : sequence of Path
        Where the scans are, if they were moved since.
    check : bool
        Whether to refuse an audit trail that is not as it was written; `Store.verify` says where it is not.

    Raises
    ------
    UsageError
        When there is no such folder, or no review in it and none is to be begun, or no results to begin one with.
    InputError
        When the audit trail is not as it was written, or gone while labels that it was about are there.
    """
    results, place = Results(folder), folder / REVIEW
    if has_lost_its_trail(place):
        raise InputError(
            "labels that people saved are there, and the audit trail that says whose they are is gone or empty",
            where=place / DATABASE,
            fix=f"Restore it from a backup; to begin anew, first move the folder {REVIEW} elsewhere.",
        )
    if not is_review(place):
        if not create:
            raise UsageError(
                "nothing was reviewed there yet", where=folder, fix=f"Begin with `medseg review {folder}`."
            )
        check_cases(results)  # before anything is left in a folder that holds none
    return Store(results, place, ScanFinder(folder, scans), check=check)


def check_cases(results: Results) -> None:
    """Raise `UsageError` where a folder holds no results."""
    if not results.cases():
        raise UsageError(
            "no case has labels to review",
            where=results.folder,
            fix="Give the --out of `medseg predict`, not its parent.",
        )


class Store(CaseStore):
    """The review of a folder of results, and how something is added to it; see `open_store`.

    Where a `reader` is given, only that reader's own events count, as in a blinded reading.
    """

    def __init__(self, results: Results, folder: Path, finder: ScanFinder, *, check: bool = True) -> None:
        super().__init__(results, folder, finder, check=check)
        self._lock = StoreLock(folder, self._tidy if check else lambda _: None)  # what is to be checked stays as it is

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._lock.release()
        self.log.close()

    def save_labels(
        self,
        case_id: str,
        labels: LabelMap,
        *,
        who: str,
        expected: int,
        origin: str,
        reader: str | None = None,
        instances: npt.NDArray[Any] | None = None,
        seconds: float | None = None,
    ) -> Revision:
        """Save labels as a new revision; it is on the disk when this returns.

        Parameters
        ----------
        case_id : str
            The case.
        labels : LabelMap
            On the grid of the case's scan.
        who : str
            The person who drew them.
        expected : int
            The revision they were drawn over; 0 for the model's labels.
        origin : str
            What they were drawn with.
        reader : str, optional
            The reader, in a blinded reading.
        instances : ndarray of int, shape (X, Y, Z), optional
            Ids of objects; 0 is background.
        seconds : float, optional
            How long the person worked on the case, where that is known.

        Raises
        ------
        RevisionConflict
            When `expected` is not the newest revision; nothing is saved.
        GeometryMismatch, InputError
            When the labels are not on the case's grid, or hold a value without a class.
        """
        check_name(who)
        result, model = self.result(case_id), self.model_labels(case_id)
        labels.geometry.match(model.geometry, what="the labels and the case's grid", where=case_id)
        self._check_newest(self.case(case_id, reader), expected)
        _, counts = self._model_labels.get((case_id, result.model_sha256), (None, None))
        changes = difference(labels, model, counts)
        foreign = np.setdiff1d(np.flatnonzero(changes.counts), [0, *(entry.value for entry in labels.table)])
        if len(foreign):
            raise InputError(
                f"the labels hold the value {int(foreign[0])}, which no class has",
                where=case_id,
                fix="Use the classes of the case.",
            )
        if instances is not None and (instances.shape != labels.array.shape or instances.min(initial=0) < 0):
            raise InputError(
                f"ids of shape {instances.shape} are not those of objects on this grid",
                where=case_id,
                fix="Give a whole number of 0 or more for each voxel.",
            )
        # The source's own orientation fields, bit by bit, are in the model's labels too.
        source = Source("nifti", (result.labels_path,)) if result.labels_path.suffix == ".gz" else Source("array")
        folder = self.folder / LABELS
        with label_files.written_labels(labels, folder, source) as part:
            body: dict[str, Any] = {
                "sha256": label_files.file_hash(part),
                "base": expected,
                "origin": origin,
                "seconds": seconds,
                "model_sha256": result.model_sha256,
                "input_sha256": result.input_sha256,
                "classes": table_to_json(labels.table),
                "changed_voxels": changes.changed_voxels,
                "dice_with_model": changes.dice,
                "volume_ml": changes.volume_ml,
            }
            if instances is None:
                return self._record_labels(case_id, who, reader, part, None, body)
            own = self.objects(case_id, 0)
            body["n_objects"] = _n_objects(instances)
            body["n_model_objects"] = None if own is None else _n_objects(own)
            body["objects_changed"] = own is None or not np.array_equal(own, instances)
            with label_files.written_ids(instances, labels, folder, source) as ids:
                return self._record_labels(case_id, who, reader, part, ids, body)

    def _record_labels(
        self, case_id: str, who: str, reader: str | None, part: Path, ids: Path | None, body: dict[str, Any]
    ) -> Revision:
        """Name the files and commit their event, while nobody else can save."""
        placed: list[str] = []
        try:
            with self.log.transaction():
                self._check_newest(self.case(case_id, reader), body["base"])
                # Numbers are the case's own, also where blinded readers see only some of them.
                number = self.case(case_id).next_number
                body["revision"] = number
                placed.append(label_files.place(part, case_id, number, body["sha256"]))
                body["file"] = placed[0]
                if ids is not None:
                    digest = label_files.file_hash(ids)
                    placed.append(label_files.place(ids, case_id, number, body["sha256"], kind=".instances"))
                    body["instances"] = {"file": placed[1], "sha256": digest}
                event = self.log.append(who, case_id, SAVED, body)
        except BaseException:
            # A signal may come when the event is committed already: then the files are those of a revision.
            recorded = {one.file.name for one in self.case(case_id).revisions}
            if placed and Path(placed[0]).name not in recorded:
                for name in placed:
                    (self.folder / name).unlink(missing_ok=True)
            raise
        return revisions([event], self.folder)[0]

    def verdict(
        self,
        case_id: str,
        *,
        kind: VerdictKind,
        revision: int,
        who: str,
        reason: str | None = None,
        comment: str = "",
        reader: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Verdict | None:
        """Record a verdict on one revision of a case's labels, 0 for the model's; None for one taken back.

        `details` are recorded with it, for instance the seconds it took.

        Raises
        ------
        RevisionConflict
            When a newer revision exists; nothing is recorded.
        UsageError
            When a rejection has no reason, another verdict has one, or there is no verdict to take back.
        """
        check_name(who)
        if kind not in VERDICTS:
            raise UsageError(f"'{kind}' is no verdict", where=case_id, fix=f"Use one of {', '.join(VERDICTS)}.")
        if kind != "reject" and reason:
            raise UsageError("only a rejection has a reason", where=case_id, fix="Give it as the comment, or reject.")
        if kind == "reject" and reason not in REASONS:
            raise UsageError(
                "a rejection needs a reason" if not reason else f"'{reason}' is no reason",
                where=case_id,
                fix=f"Give one of: {', '.join(REASONS)}.",
            )
        if len(comment) > LONGEST_COMMENT:
            raise UsageError(
                f"the comment has {len(comment)} letters", where=case_id, fix=f"Use {LONGEST_COMMENT} at most."
            )
        with self.log.transaction():
            result, case = self.result(case_id), self.case(case_id, reader)
            self._check_newest(case, revision)
            if kind == "take_back" and case.verdict is None:
                raise UsageError("there is no verdict to take back", where=case_id, fix="Accept or reject the case.")
            body = {
                **(details or {}),
                "revision": revision,
                "labels_sha256": case.newest.sha256 if case.newest else result.model_sha256,
                "model_sha256": result.model_sha256,
                "input_sha256": result.input_sha256,
                "reason": reason,
                "comment": comment,
            }
            return verdict([self.log.append(who, case_id, VERDICTS[kind], body)])

    def record(self, who: str, kind: str, body: Mapping[str, Any], case_id: str = "") -> Event:
        """Record an event that is neither labels nor a verdict, for instance that a case was opened."""
        check_name(who)
        return self.log.append(who, case_id, kind, body)

    def verify(self, expect: str | None = None) -> tuple[Finding, ...]:
        """Walk the chain of events and the files of all revisions; return everything that is not as it was left.

        `expect` is the hash of an event that was written down elsewhere, and must be there.
        """
        return tuple(verification.verify(self.log, self.folder, expect))

    def leftovers(self) -> tuple[str, ...]:
        """Return the files of saves that were stopped before they were acknowledged, or are under way just now.

        They are set aside when the review is opened and nobody else works on it, and otherwise after an hour.
        """
        known = verification.recorded(self.log.events())
        names = verification.unrecorded(self.folder, known)
        return tuple(name for name in names if verification.is_of_a_save(self.folder / name, known))

    def _tidy(self, is_alone: bool) -> None:
        """Delete files that a killed process left half written, and set aside whole ones whose event is not there.

        These may be all that is left of somebody's work, where the trail was restored from an older backup. Only what
        is old enough is touched where others work on the store, or may without this process knowing, as on a file
        system of a network, whose locks may not reach other machines.
        """
        if self.broken_at is not None:
            return
        labels, wait = self.folder / LABELS, 0.0 if self.is_local and is_alone else LONG_AGO
        sweep(labels, older_than=wait)
        for path in [*labels.glob(f"{label_files.PART}*"), *(self.folder / name for name in self.leftovers())]:
            with contextlib.suppress(FileNotFoundError):  # of a save just done, or deleted by another process
                if time.time() - path.stat().st_mtime < wait:
                    continue
                if path.name.startswith(label_files.PART):
                    path.unlink()
                    continue
                aside = self.folder / UNRECORDED
                aside.mkdir(exist_ok=True)
                path.rename(aside / path.name)
                log.warning(
                    "%s: no event names these labels; they were moved to %s", path.name, f"{REVIEW}/{UNRECORDED}"
                )

    def _check_newest(self, case: ReviewCase, expected: int) -> None:
        if case.revision != expected:
            raise RevisionConflict(
                f"revision {case.revision} of the labels is the newest, not {expected}"
                if case.revision or not case.revisions
                else "the model's labels changed, and take the place of what nobody had corrected",
                where=case.case_id,
                fix="Load it, and decide what to keep of each.",
            )


def _n_objects(ids: npt.NDArray[Any]) -> int:
    return len(np.unique(ids[ids > 0]))


def check_name(who: str) -> None:
    """Raise `UsageError` unless this can stand in the trail as a person's name."""
    if not who.strip() or len(who) > LONGEST_NAME or not who.isprintable():
        raise UsageError(
            f"'{who[:LONGEST_NAME]}' cannot be a reader's name",
            where="--reviewer",
            fix=f"Give 1 to {LONGEST_NAME} printable letters.",
        )
