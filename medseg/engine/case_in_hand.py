"""One case on its way through a pipeline."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medseg.engine import journal
from medseg.engine.case_folder import CaseFolder
from medseg.engine.finishing import SMALL, Abandoned
from medseg.engine.outcomes import Work, explained, from_status, pending, record_failure
from medseg.engine.pipeline import Step
from medseg.engine.staging import MissingScan, Staged, is_here, listed_hash, stage
from medseg.errors import InputError
from medseg.isolation.boundary import STOPS
from medseg.types.case_report import CaseReport, combined
from medseg.types.run import CaseOutcome, WindowsDone
from medseg.types.scan import FoundScan
from medseg.types.stage import RunContext

log = logging.getLogger("medseg.run")


def start(found: FoundScan, work: Work, steps: Sequence[Step], needed: Callable[[], None] | None = None) -> CaseInHand:
    """Hash the input, see whether the case is done, and if not ask whether it can be and run the steps that only read.

    `needed` is called before them, when it is known that the others will have work to do.
    """
    case = CaseInHand(found, work)
    try:
        if pending(found, work.out).folder is None:
            raise InputError(
                "the scan lies in the folder that is for its results",
                fix="Move the scan, or choose another --out.",
            )
        # What is done need not be fetched again, where the manifest says what its bytes are.
        if not is_here(found) and (listed := listed_hash(found)) is not None and case.is_current(listed):
            return case
        case.found, digest = stage(found, case.staged)
        case.values["case"] = case.found
        if case.is_current(digest):
            return case
        for step in work.pipeline.each:
            step.check(case.found)
        if needed is not None:
            needed()
        case.run(steps)
    except STOPS:
        raise
    except BaseException as error:
        case.error = error
    return case


@dataclass
class CaseInHand:
    """A case in hand: what the steps gave and reported so far, or why there is nothing more to do."""

    found: FoundScan
    work: Work
    input_hash: str = ""
    key: str = ""
    current: CaseOutcome | None = None
    error: BaseException | None = None
    values: dict[str, Any] = field(default_factory=dict)
    reports: list[CaseReport] = field(default_factory=list)
    staged: Staged = field(default_factory=Staged)
    folder: CaseFolder | None = None

    def __post_init__(self) -> None:
        self.values["case"] = self.found
        self.reports.append(CaseReport(notes=self.found.notes))

    def is_current(self, input_hash: str) -> bool:
        """Whether the case of an input with this hash was done before; both are kept."""
        self.input_hash, self.key = input_hash, self.work.case_key(input_hash)
        status = None if self.work.overwrite else journal.current(self.work.out / self.found.case_id, self.key)
        if status is not None:
            self.current = from_status(pending(self.found, self.work.out), status)
        return status is not None

    @property
    def to_compute(self) -> bool:
        """Whether it is neither done before nor failed."""
        return self.current is None and self.error is None

    @property
    def is_small(self) -> bool:
        """Whether the steps reported a size, and one that may be kept while the next case is computed."""
        voxels = combined(self.reports).voxels
        return voxels is not None and voxels <= SMALL

    def run(
        self,
        steps: Sequence[Step],
        before_each: Callable[[], None] = lambda: None,
        on_windows: Callable[[int, int], None] | None = None,
    ) -> None:
        """Run steps on what earlier ones gave, and keep what they give and report."""
        folder = None if self.folder is None else self.folder.path
        context = RunContext(self.work.out, self.found.case_id, on_windows, folder)
        for step in steps:
            before_each()
            value = step.run(self.values, context)
            self.values[step.name] = value
            self.reports.append(step.report(value))

    def compute(self, steps: Sequence[Step], announce: Callable[[WindowsDone], None] | None = None) -> None:
        """Make a folder for the case's results and run the main steps; a failure is kept for the outcome."""
        if not self.to_compute:
            return
        try:
            self.folder = CaseFolder(self.work.out / self.found.case_id)
            case_id = self.found.case_id
            hear = None if announce is None else lambda done, total: announce(WindowsDone(case_id, done, total))
            self.run(steps, on_windows=hear)
        except STOPS:
            raise
        except BaseException as error:
            self.error = error

    def finish(self, steps: Sequence[Step], started: float, stop_if_left: Callable[[], None]) -> CaseOutcome:
        """Run the other steps and write the record; every failure becomes part of the outcome, which is timed."""
        try:
            outcome = self.current or self._finished(steps, stop_if_left)
        finally:
            self.staged.close()
            if self.folder is not None:
                self.folder.discard()
        return replace(outcome, seconds=time.perf_counter() - started)

    def _finished(self, steps: Sequence[Step], stop_if_left: Callable[[], None]) -> CaseOutcome:
        base = replace(pending(self.found, self.work.out), state="done")
        try:
            if self.error is not None:
                raise self.error
            self.run(steps, stop_if_left)
            report = combined(self.reports)
            outcome = replace(
                base,
                warnings=tuple(flag.text for flag in report.warnings),
                notes=report.notes,
                volumes=report.volumes,
                review_priority=report.review_priority,
                computed=report.computed,
                read_back=report.read_back,
            )
            stop_if_left()
            if self.folder is None:  # of a pipeline without main steps
                self.folder = CaseFolder(self.work.out / self.found.case_id)
            outputs = journal.finish(self.folder.path, self.key, self.input_hash, outcome, self.work.model)
            self.folder.publish()
            return replace(outcome, outputs=outputs)
        except (*STOPS, Abandoned):
            raise
        except BaseException as error:
            log.debug("%s", self.found.case_id, exc_info=error)
            outcome = explained(base, error)
            if isinstance(error, MissingScan) and (done := journal.read_status(self.work.out / self.found.case_id)):
                kept = "" if done.state == "failed" else "; what was made of it before is kept"
                return replace(outcome, error=f"{outcome.error}{kept}")
            record_failure(outcome, self.key, self.input_hash, self.work.model)
            return outcome
