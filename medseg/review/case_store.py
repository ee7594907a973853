"""What there is in the review of a folder of results: cases, revisions, verdicts, labels and scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.counted import counted
from medseg.errors import InputError, MedsegError, UsageError
from medseg.io.files.file_system import is_local
from medseg.io.files.review_folder import DATABASE, LABELS
from medseg.io.instances import IDS
from medseg.io.nifti import read_scan as read_nifti
from medseg.io.read import read_labels, read_scan
from medseg.prepare.regrid import regrid
from medseg.review import label_files
from medseg.review.case_table import case_table, with_values_of
from medseg.review.difference import Counts, may_be_equal
from medseg.review.events import Event, EventLog
from medseg.review.results import CaseResult, Results
from medseg.review.review_case import ReviewCase, seen_by, state
from medseg.review.revisions import Revision, revisions
from medseg.review.scan_finder import ScanFinder
from medseg.review.verdicts import verdict
from medseg.types import LabelMap, LabelTable
from medseg.types.scan import FoundScan
from medseg.types.value_counts import value_counts

CASES_IN_MEMORY = 2


class CaseStore:
    """The cases of a review, and all that is recorded of them.

    Where a `reader` is given, only that reader's own events count, as in a blinded reading.
    """

    def __init__(self, results: Results, folder: Path, finder: ScanFinder, *, check: bool = True) -> None:
        self.results, self.folder, self.finder = results, folder, finder
        (folder / LABELS).mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.is_local = is_local(folder)
        self.log = EventLog(folder / DATABASE, write_ahead=self.is_local)
        self.broken_at = self.log.broken_at()
        if check and self.broken_at is not None:
            self.log.close()
            raise InputError(
                f"the audit trail was changed: event {self.broken_at[0]} {self.broken_at[1]}",
                where=folder / DATABASE,
                fix="Restore it from a backup; `medseg review verify` lists everything that was changed.",
            )
        # Of the cases read last: saves are compared with them, voxel by voxel and value by value.
        self._model_labels: dict[tuple[str, str], tuple[LabelMap, Counts]] = {}
        self._compared: dict[tuple[str, str | None, str], bool] = {}  # revisions with labels of another model

    def __repr__(self) -> str:
        return f"Store({counted(len(self.cases()), 'case')}, {counted(self.log.head[0], 'event')})"

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
        """Find the scan of a case by its content; of several channels the first one's, whose grid the labels have.

        Raises
        ------
        InputError
            When it is not found, or its bytes are not those that the labels were made of.
        """
        return self.channels(case_id)[0]

    def channels(self, case_id: str) -> tuple[FoundScan, ...]:
        """Find the scans of all channels of a case, as `scan` finds the first; one, but for models of several."""
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

    def objects_file(self, case_id: str, revision: int) -> tuple[Path, str] | None:
        """Where the ids of objects of a revision are, 0 for the model's, and their hash; None where it has none."""
        result = self.result(case_id)
        saved = next((one for one in self.case(case_id).revisions if one.number == revision), None)
        path, sha256 = (
            (result.folder / IDS, result.content["outputs"].get(IDS))
            if saved is None
            else (saved.instances_file, saved.instances_sha256)
        )
        return None if path is None or sha256 is None else (path, sha256)

    def objects(self, case_id: str, revision: int) -> npt.NDArray[Any] | None:
        """Read the ids of objects of a revision, 0 for the model's; None where it has none."""
        found = self.objects_file(case_id, revision)
        return None if found is None else read_nifti(label_files.checked(*found)).array[0]

    def table(self, case_id: str, reader: str | None = None) -> LabelTable:
        """Return the classes of a case: the model's, and those that revisions have beside."""
        drawn = (revision.table for revision in self.case(case_id, reader).revisions)
        return case_table(self.model_labels(case_id).table, drawn)

    def _is_other(self, revision: Revision) -> bool:
        """Whether a revision differs from the labels that the model makes now, by what both files hold."""
        model = self.model_labels(revision.case_id)
        table = case_table(model.table, [revision.table])
        drawn = with_values_of(label_files.read_revision(revision.file, revision.sha256, revision.table), table)
        if not np.array_equal(drawn.array, model.array):
            return True
        if revision.instances_file is None or revision.instances_sha256 is None:
            return False
        own = self.objects(revision.case_id, 0)
        ids = read_nifti(label_files.checked(revision.instances_file, revision.instances_sha256)).array[0]
        return own is None or not np.array_equal(own, ids)

    def _revision(self, case: ReviewCase, number: int) -> Revision:
        found = next((one for one in case.revisions if one.number == number), None)
        if found is None:
            raise UsageError(
                f"there is no revision {number}", where=case.case_id, fix=f"The newest is {case.revision}."
            )
        return found

    def _result(self, case_id: str) -> CaseResult | None:
        return self.results.case(case_id)

    def _case(self, case_id: str, result: CaseResult | None, events: Sequence[Event], reader: str | None) -> ReviewCase:
        visible = seen_by(events, reader)
        given = verdict(visible)
        drawn = revisions(visible, self.folder)
        model, scan = (None, None) if result is None else (result.model_sha256, result.input_sha256)
        looked_at = [one for one in drawn if one is drawn[-1] or (given is not None and one.number == given.revision)]
        return ReviewCase(
            case_id,
            state(given, model, scan, drawn),
            None if result is None else result.labels_path,
            model,
            scan,
            drawn,
            given,
            0.0 if result is None else float(result.content["review_priority"]),
            () if result is None else tuple(result.content["warnings"]),
            frozenset(one.number for one in looked_at if self._is_changed(one, result)),
        )

    def _is_changed(self, revision: Revision, result: CaseResult | None) -> bool:
        """Whether a revision differs from the labels that the model makes now; what cannot be read does."""
        if result is None or revision.model_sha256 == result.model_sha256:
            return revision.is_changed
        key = revision.sha256, revision.instances_sha256, result.model_sha256
        if key not in self._compared:
            try:
                self._compared[key] = not may_be_equal(revision, result) or self._is_other(revision)
            except (MedsegError, OSError):
                return True
        return self._compared[key]
