"""The store of a review, `DIR/review/`: events in SQLite, and a file for each revision of a case's labels.

An acknowledged save is on the disk: the file is written, synced and renamed, then the event is committed, then the call
returns. Nothing in a case's own folder is ever touched. Several processes and threads may use one store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, UsageError
from medseg.io.files.leftovers import sweep
from medseg.io.files.review_folder import DATABASE, LABELS, REVIEW, is_review
from medseg.io.read import read_labels, read_scan
from medseg.prepare.regrid import regrid
from medseg.review import label_files, verification
from medseg.review.case_table import case_table
from medseg.review.difference import Counts, difference
from medseg.review.events import Event, EventLog
from medseg.review.file_system import is_local
from medseg.review.results import CaseResult, Results
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
    seen_by,
    state,
    table_to_json,
    verdict,
)
from medseg.review.scan_finder import ScanFinder
from medseg.review.store_lock import StoreLock
from medseg.review.verification import Finding
from medseg.types import LabelMap, LabelTable, Source
from medseg.types.scan import FoundScan
from medseg.types.value_counts import value_counts

CASES_IN_MEMORY = 2
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
        When there is no such folder, or no review in it and none is to be begun.
    InputError
        When the audit trail is not as it was written.
    """
    results, place = Results(folder), folder / REVIEW
    if not is_review(place) and not create:
        raise UsageError("nothing was reviewed there yet", where=folder, fix=f"Begin with `medseg review {folder}`.")
    return Store(results, place, ScanFinder(folder, scans), check=check)


class Store:
    """The review of a folder of results; see `open_store`.

    Where a `reader` is given, only that reader's own events count, as in a blinded reading.
    """

    def __init__(self, results: Results, folder: Path, finder: ScanFinder, *, check: bool = True) -> None:
        self.results, self.folder, self.finder = results, folder, finder
        (folder / LABELS).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.log = EventLog(folder / DATABASE, write_ahead=is_local(folder))
        broken = self.log.broken_at()
        if check and broken is not None:
            self.log.close()
            raise InputError(
                f"the audit trail was changed: event {broken[0]} {broken[1]}",
                where=folder / DATABASE,
                fix="Restore it from a backup; `medseg review verify` lists everything that was changed.",
            )
        # Of the cases read last: saves are compared with them, voxel by voxel and value by value.
        self._model_labels: dict[tuple[str, str], tuple[LabelMap, Counts]] = {}
        self._lock = StoreLock(folder, self._tidy if broken is None else lambda: None)

    def __repr__(self) -> str:
        return f"Store({len(self.cases())} cases, {self.log.head[0]} events)"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._lock.release()
        self.log.close()

    def cases(self) -> tuple[str, ...]:
        """Return the ids of all cases with labels, and of those that were reviewed and have none any more."""
        judged = {row[0] for row in self.log.rows("select distinct case_id from events where case_id<>''")}
        return tuple(sorted({*self.results.cases(), *judged}))

    def events(self, case_id: str | None = None) -> tuple[Event, ...]:
        """Return all events, or those of one case, in order."""
        return self.log.events(case_id)

    def case(self, case_id: str, reader: str | None = None) -> ReviewCase:
        """Return a case as it stands.

        Raises
        ------
        UsageError
            When there is no such case.
        """
        events = self.log.events(case_id)
        result = self._result(case_id)
        if result is None and not events:
            raise UsageError("there is no such case", where=case_id, fix="`medseg review status` lists the cases.")
        return self._case(case_id, result, events, reader)

    def all_cases(self, reader: str | None = None) -> dict[str, ReviewCase]:
        """Return every case as it stands, by case id, in one pass over the trail."""
        results = self.results.cases()
        events: dict[str, list[Event]] = {case_id: [] for case_id in results}
        for event in self.log.events():
            if event.case_id:
                events.setdefault(event.case_id, []).append(event)
        return {
            case_id: self._case(case_id, results.get(case_id), events[case_id], reader) for case_id in sorted(events)
        }

    def corrections(self, reader: str | None = None) -> tuple[Revision, ...]:
        """Return the newest revision of every case whose labels a person changed: what, by whom, and by how much."""
        cases = self.all_cases(reader).values()
        return tuple(case.newest for case in cases if case.newest is not None and case.is_corrected)

    def result(self, case_id: str) -> CaseResult:
        """Return what the model made of a case.

        Raises
        ------
        UsageError
            When there is no such case, or it has no labels.
        """
        result = self._result(case_id)
        if result is None:
            raise UsageError(
                "the case has no labels of a model", where=case_id, fix="`medseg review status` lists the cases."
            )
        return result

    def scan(self, case_id: str) -> FoundScan:
        """Find the scan of a case by its content.

        Raises
        ------
        InputError
            When it is not found, or its bytes are not those that the labels were made of.
        """
        return self.finder.find(case_id, self.result(case_id).input_sha256)

    def model_labels(self, case_id: str) -> LabelMap:
        """Read the labels a model made, on the grid of the scan's own file."""
        result = self.result(case_id)
        key = (case_id, result.model_sha256)
        if (known := self._model_labels.get(key)) is not None:
            return known[0]
        labels = read_labels(label_files.checked(result.labels_path, result.model_sha256))
        if result.labels_path.suffix == ".dcm":
            # A DICOM object holds the slices that have labels, and no others.
            labels = regrid(labels, read_scan(self.scan(case_id)).geometry, where=result.labels_path.name)
        labels.array.setflags(write=False)
        kept = dict(list(self._model_labels.items())[1 - CASES_IN_MEMORY :])
        self._model_labels = {**kept, key: (labels, value_counts(labels.array))}
        return labels

    def labels(self, case_id: str, revision: int | None = None, reader: str | None = None) -> LabelMap:
        """Read a revision of a case's labels, the newest without a number; 0 is the model's labels.

        Raises
        ------
        InputError
            When the file is not as it was saved.
        UsageError
            When there is no such case or revision.
        """
        case = self.case(case_id, reader)
        number = case.revision if revision is None else revision
        if number == 0:
            return self.model_labels(case_id)
        found = self._revision(case, number)
        return label_files.read_revision(found.file, found.sha256, found.table)

    def table(self, case_id: str, reader: str | None = None) -> LabelTable:
        """Return the classes of a case: the model's, and those that revisions have beside."""
        drawn = (revision.table for revision in self.case(case_id, reader).revisions)
        return case_table(self.model_labels(case_id).table, drawn)

    def _revision(self, case: ReviewCase, number: int) -> Revision:
        found = next((one for one in case.revisions if one.number == number), None)
        if found is None:
            raise UsageError(
                f"there is no revision {number}", where=case.case_id, fix=f"The newest is {case.revision}."
            )
        return found

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
                number = self.case(case_id).revision + 1
                body["revision"] = number
                placed.append(label_files.place(part, case_id, number, body["sha256"]))
                body["file"] = placed[0]
                if ids is not None:
                    digest = label_files.file_hash(ids)
                    placed.append(label_files.place(ids, case_id, number, body["sha256"], kind=".instances"))
                    body["instances"] = {"file": placed[1], "sha256": digest}
                event = self.log.append(who, case_id, SAVED, body)
        except BaseException:
            for name in placed:  # no event is about them
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
            When a rejection has no reason, or there is no verdict to take back.
        """
        check_name(who)
        if kind not in VERDICTS:
            raise UsageError(f"'{kind}' is no verdict", where=case_id, fix=f"Use one of {', '.join(VERDICTS)}.")
        if (kind == "reject" or reason) and reason not in REASONS:
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

    def _tidy(self) -> None:
        """Delete what a killed process left: files half written, and files whose event was never committed."""
        labels = self.folder / LABELS
        sweep(labels)
        saved = [event.body for event in self.log.events() if event.kind == SAVED]
        known = {str(one["file"]) for body in saved for one in (body, body.get("instances")) if one}
        for name in verification.unrecorded(self.folder, known):
            (self.folder / name).unlink(missing_ok=True)

    def _check_newest(self, case: ReviewCase, expected: int) -> None:
        if case.revision != expected:
            raise RevisionConflict(
                f"revision {case.revision} of the labels is the newest, not {expected}",
                where=case.case_id,
                fix="Load it, and decide what to keep of each.",
            )

    def _result(self, case_id: str) -> CaseResult | None:
        return self.results.case(case_id)

    def _case(self, case_id: str, result: CaseResult | None, events: Sequence[Event], reader: str | None) -> ReviewCase:
        visible = seen_by(events, reader)
        given = verdict(visible)
        model, scan = (None, None) if result is None else (result.model_sha256, result.input_sha256)
        return ReviewCase(
            case_id,
            state(given, model, scan),
            None if result is None else result.labels_path,
            model,
            scan,
            revisions(visible, self.folder),
            given,
            0.0 if result is None else float(result.content["review_priority"]),
            () if result is None else tuple(result.content["warnings"]),
        )


def check_name(who: str) -> None:
    """Raise `UsageError` unless this can stand in the trail as a person's name."""
    if not who.strip() or len(who) > LONGEST_NAME or not who.isprintable():
        raise UsageError(
            f"'{who[:LONGEST_NAME]}' cannot be a reader's name",
            where="--reviewer",
            fix=f"Give 1 to {LONGEST_NAME} printable letters.",
        )
