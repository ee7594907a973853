"""One case through a pipeline: done, seen to be done, or failed with its reason."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from medseg.engine import journal
from medseg.engine.finishing import Finishing, is_small
from medseg.engine.pipeline import Pipeline
from medseg.errors import MedsegError
from medseg.types.how_computed import HowComputed
from medseg.types.quality import Quality
from medseg.types.run import CaseOutcome, ClassVolume, Preparing, Volumes
from medseg.types.scan import FoundScan
from medseg.types.stage import RunContext

__all__ = ["expected", "failure", "pending", "record_failure", "recorded", "run_cases"]

log = logging.getLogger("medseg.run")


def run_cases(
    pipeline: Pipeline,
    cases: Sequence[FoundScan],
    out: Path,
    identity: Mapping[str, Any],
    overwrite: bool,
    tell: Callable[[Preparing], None] | None = None,
    at_once: Callable[[CaseOutcome], None] | None = None,
    alone: int = 0,
) -> Generator[FoundScan | CaseOutcome, None, None]:
    """Run the cases in turn; beside the second step of one, the next is read and a small one before it finished.

    While the first case that is to be computed is read, the steps make themselves ready; `tell` hears at once of what
    takes long, and the case is then taken in hand again. The second step, the network where there is one, and what
    finishes a large case run in the caller's thread.

    Parameters
    ----------
    pipeline, cases, out, identity, overwrite
        What to run on what, where the results go, what decides them, and whether to do again what is done.
    tell : callable, optional
        Hears what is done once, from another thread.
    at_once : callable, optional
        Hears, from another thread, the outcome of a case finished there, which is then not yielded. Without it, that
        outcome is yielded after the second step of the next case.
    alone : int
        Of how many cases from the first on nothing runs beside another.

    Yields
    ------
    FoundScan or CaseOutcome
        Each case as it is taken in hand, and the outcomes in the same order; at most two cases are in hand. No failure
        of a case raises.
    """
    readiness: Future[bool] | None = None
    waited = False

    def get_ready() -> None:
        nonlocal readiness
        readiness = readiness or aside.submit(_get_ready, pipeline, tell)

    work = (pipeline, out, identity, overwrite)
    with (
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="get-ready") as aside,
        Finishing(at_once) as finishing,
    ):
        ahead: Future[_Start] | None = None
        for number, found in enumerate(cases):
            yield found
            started = time.perf_counter()
            # A case read ahead leaves it to its turn: what is told of it must not fall into the case before.
            start = ahead.result() if ahead is not None else _start(found, *work, get_ready)
            ahead = None
            last = number + 1 == len(cases)
            if not last and number >= alone:
                ahead = reader.submit(_start, cases[number + 1], *work)
            if start.current is None and start.error is None:
                get_ready()
            if readiness is not None and not waited:
                waited = True
                if readiness.result():
                    yield found
                    started = time.perf_counter()
            beside = number >= alone and is_small(start.values.get(pipeline.each[0].name))
            if not beside:
                yield from finishing.outcome()
            _compute(pipeline, found, out, start)
            yield from finishing.outcome()
            finish = partial(_finish, pipeline, found, out, start, started, finishing.go_on)
            if beside and not last and start.error is None:
                finishing.begin(finish)
            else:
                yield finish()
            del finish  # and with it all of this case, before the next is computed


def _get_ready(pipeline: Pipeline, tell: Callable[[Preparing], None] | None) -> bool:
    """Let every step do what it does once; whether any had something to tell."""
    told = False

    def say(text: str) -> None:
        nonlocal told
        told = True
        if tell is not None:
            tell(Preparing(text))

    for step in pipeline.each:
        get_ready = getattr(step.stage, "get_ready", None)
        try:
            if get_ready is not None:
                get_ready(say)
        except Exception as error:  # it is met again in the case itself, whose outcome it becomes
            log.debug("%s", step.name, exc_info=error)
    return told


class _Start:
    """What is known of a case before anything of it is computed or changed on disk."""

    def __init__(self) -> None:
        self.input_hash = ""
        self.key = ""
        self.current: CaseOutcome | None = None
        self.values: dict[str, Any] = {}
        self.error: Exception | None = None


def _start(
    found: FoundScan,
    pipeline: Pipeline,
    out: Path,
    identity: Mapping[str, Any],
    overwrite: bool,
    needed: Callable[[], None] | None = None,
) -> _Start:
    """Hash the input, see whether the case is done, and if not run the first step, which reads and writes nothing.

    `needed` is called before that step, when it is known that the others will have work to do.
    """
    start = _Start()
    try:
        start.input_hash = journal.hash_files(found.files)
        start.key = journal.case_key(start.input_hash, identity)
        status = None if overwrite else journal.current(out / found.case_id, start.key)
        if status is not None:
            start.current = _from_status(pending(found, out), status)
            return start
        if needed is not None:
            needed()
        start.values["case"] = found
        first = pipeline.each[0]
        start.values[first.name] = first.run(start.values, RunContext(out, found.case_id))
    except Exception as error:
        start.error = error
    return start


def _compute(pipeline: Pipeline, found: FoundScan, out: Path, start: _Start) -> None:
    """Make the case's folder ready and run the second step; a failure is kept for the outcome."""
    if start.current is not None or start.error is not None:
        return
    try:
        journal.begin(out / found.case_id)
        for step in pipeline.each[1:2]:
            start.values[step.name] = step.run(start.values, RunContext(out, found.case_id))
    except Exception as error:
        start.error = error


def _finish(
    pipeline: Pipeline, found: FoundScan, out: Path, start: _Start, started: float, go_on: Callable[[], None]
) -> CaseOutcome:
    """Run the other steps and write the record; every failure becomes part of the outcome, which is timed."""
    outcome = start.current or _finished(pipeline, found, out, start, go_on)
    return replace(outcome, seconds=time.perf_counter() - started)


def _finished(pipeline: Pipeline, found: FoundScan, out: Path, start: _Start, go_on: Callable[[], None]) -> CaseOutcome:
    base = replace(pending(found, out), state="done")
    try:
        if start.error is not None:
            raise start.error
        context = RunContext(out, found.case_id)
        for step in pipeline.each[2:]:
            go_on()
            start.values[step.name] = step.run(start.values, context)
        outcome = replace(base, **_what_to_tell(start.values))
        go_on()
        outputs = journal.finish(out / found.case_id, start.key, start.input_hash, outcome)
        return replace(outcome, outputs=outputs)
    except Exception as error:
        log.debug("%s", found.case_id, exc_info=error)
        outcome = _explained(base, error)
        record_failure(outcome, start.key, start.input_hash)
        return outcome


def _explained(base: CaseOutcome, error: Exception) -> CaseOutcome:
    """Turn an exception into a reason and a fix that name no folder, because folders may carry patients' names."""
    match error:
        case MedsegError():
            where = Path(error.where or base.source).name
            # A single file is named beside its reason anyway.
            return failure(base, error.what if where == base.source else f"{where}: {error.what}", error.fix)
        case MemoryError():
            return failure(base, "there is not enough memory for this case", "Use a machine with more memory.")
        case OSError():
            fix = "Check that the file can be read and the disk is not full."
            return failure(base, str(error.strerror or error), fix)
        case _:
            fix = "Run this one case again with --debug and report what it prints."
            return failure(base, f"a bug in medseg: {type(error).__name__}: {error}", fix)


def record_failure(outcome: CaseOutcome, key: str = "", input_hash: str = "") -> None:
    """Leave the record of a failed case and nothing else, so that no half result is taken for a whole."""
    if outcome.folder is None:
        return
    try:
        journal.begin(outcome.folder)
        journal.finish(outcome.folder, key, input_hash, outcome)
    except (OSError, MedsegError) as error:
        log.debug("%s: no record is written (%s)", outcome.case_id, error)


def failure(base: CaseOutcome, what: str, fix: str | None) -> CaseOutcome:
    """Return the outcome of a case that failed."""
    return replace(base, state="failed", error=what, fix=fix)


def pending(found: FoundScan, out: Path) -> CaseOutcome:
    """Return the outcome of a case not reached; its source names the file or kind of series, free of patient data."""
    source = found.description or "DICOM series" if found.format == "dicom" else found.files[0].name
    return CaseOutcome(found.case_id, "pending", source, out / found.case_id)


def expected(found: FoundScan, out: Path, identity: Mapping[str, Any], overwrite: bool) -> CaseOutcome:
    """Return what a run would do with a case: pending, or current where nothing need be done."""
    base = pending(found, out)
    if overwrite:
        return base
    try:
        key = journal.case_key(journal.hash_files(found.files), identity)
    except OSError as error:
        return _explained(base, error)
    status = journal.current(out / found.case_id, key)
    return base if status is None else _from_status(base, status)


def recorded(found: FoundScan, out: Path) -> CaseOutcome:
    """Return how a case another shard does has ended, or pending where it has not."""
    base = pending(found, out)
    status = journal.read_status(out / found.case_id)
    if status is None:
        return base
    if status.state == "failed":
        return failure(base, str(status.content.get("error")), status.content.get("fix"))
    return _from_status(base, status)


def _from_status(base: CaseOutcome, status: journal.Status) -> CaseOutcome:
    rows = status.content.get("volumes")
    return replace(
        base,
        state="current",
        notes=tuple(status.content.get("notes", ())),
        outputs=tuple(status.outputs),
        volumes=None if rows is None else Volumes(tuple(ClassVolume(*row) for row in rows)),
        review_priority=float(status.content.get("review_priority", 0.0)),
        computed=_computed(status.content.get("computed")),
    )


def _computed(content: Any) -> HowComputed | None:
    try:
        return None if content is None else HowComputed.from_json(content)
    except (TypeError, KeyError):  # by another version of medseg
        return None


def _what_to_tell(values: Mapping[str, Any]) -> dict[str, Any]:
    """Notes and volumes from what the steps left, whatever the steps were called."""
    notes: list[str] = []
    volumes, review_priority, computed = None, 0.0, None
    for value in values.values():
        for source in (value, getattr(getattr(value, "scan", None), "source", None)):
            found = (*getattr(source, "warnings", ()), *getattr(source, "notes", ()))
            notes += [note for note in found if note not in notes]
        volumes = value if isinstance(value, Volumes) else volumes
        computed = getattr(value, "computed", None) or computed
        # Rounded, so that a case stays where it is in the order whatever engine computed it.
        review_priority = round(value.review_priority, 2) if isinstance(value, Quality) else review_priority
    return {"notes": tuple(notes), "volumes": volumes, "review_priority": review_priority, "computed": computed}
