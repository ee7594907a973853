"""The store of a review, `DIR/review/`: events in SQLite, and a file for each revision of a case's labels.

An acknowledged save is on the disk: the file is written, synced and renamed, then the event is committed, then the call
returns. Nothing in a case's own folder is ever touched. Several processes and threads may use one store.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from medseg.errors import UsageError
from medseg.review import verification
from medseg.review.events import Event, check_name
from medseg.review.label_saving import LabelSaving
from medseg.review.results import Results
from medseg.review.scan_finder import ScanFinder
from medseg.review.store_lock import StoreLock
from medseg.review.tidying import leftovers, tidy
from medseg.review.verdicts import REASONS, VERDICTS, Verdict, VerdictKind, verdict
from medseg.review.verification import Finding

LONG_AGO = 3600.0  # seconds
LONGEST_COMMENT = 2000


class Store(LabelSaving):
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
        return leftovers(self.log, self.folder)

    def _tidy(self, is_alone: bool) -> None:
        """Tidy up, but for what is new where others work on the store, or may without this process knowing.

        A file system of a network may have locks that do not reach other machines.
        """
        if self.broken_at is None:
            tidy(self.log, self.folder, 0.0 if self.is_local and is_alone else LONG_AGO)
