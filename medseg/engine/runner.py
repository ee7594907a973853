"""Runs a pipeline over many cases: one bad case never stops the others, and what is done stays done."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medseg.engine import journal
from medseg.engine.lock import exclusive
from medseg.engine.pipeline import Pipeline
from medseg.engine.progress import case_progress
from medseg.engine.signals import stoppable
from medseg.engine.stage import RunContext
from medseg.engine.versions import versions
from medseg.errors import MedsegError, UsageError
from medseg.io.atomic import write_text
from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Inputs, Volumes
from medseg.types.scan import Discovery, FoundScan, LeftOut

__all__ = ["RunOptions", "Shard", "run"]

log = logging.getLogger("medseg.run")


@dataclass(frozen=True)
class Shard:
    """Which part of the cases this process does: number `index` of `count`, counting from 1.

    Raises
    ------
    UsageError
        When the numbers make no sense.
    """

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise UsageError(f"--shard {self.index}/{self.count}: the first number must lie between 1 and the second")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``"k/n"``."""
        index, slash, count = text.partition("/")
        if not (slash and index.strip().isdigit() and count.strip().isdigit()):
            raise UsageError(f"--shard {text}: not of the form k/n", fix="Write for instance --shard 1/4.")
        return cls(int(index), int(count))


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what.

    Parameters
    ----------
    overwrite : bool
        Do again what is done.
    dry_run : bool
        Say what would be done; write nothing.
    shard : Shard
        The part of the cases to do.
    """

    overwrite: bool = False
    dry_run: bool = False
    shard: Shard = Shard()


def run(pipeline: Pipeline, inputs: Inputs, out: Path, options: RunOptions | None = None) -> BatchResult:
    """Run a pipeline over everything found in the inputs.

    Parameters
    ----------
    pipeline : Pipeline
        Assembled, so known to fit together.
    inputs : Inputs
        Files and folders.
    out : Path
        Output folder; one folder below it for each case.
    options : RunOptions, optional
        How to run.

    Returns
    -------
    BatchResult
        How every case ended.

    Raises
    ------
    UsageError
        When an input does not exist or the output folder cannot be written.
    Interrupted
        When a signal asked to stop; what is done is kept.
    """
    options = options or RunOptions()
    out = out.resolve()
    started = time.time()
    discovery: Discovery = pipeline.gather.stage.run(inputs, RunContext(out))
    mine = set(discovery.found[options.shard.index - 1 :: options.shard.count])
    broken = tuple(_broken(item) for item in discovery.left_out if item.broken)
    identity = {"pipeline": pipeline.name, "steps": pipeline.identity(), "medseg": versions()["medseg"]}
    left_out = tuple(item for item in discovery.left_out if not item.broken)
    facts = tuple((name, str(value)) for name, value in versions().items())
    if options.dry_run:
        outcomes = tuple(_plan(found, out, identity, options) for found in discovery.found if found in mine)
        return BatchResult(out, outcomes + broken, left_out, facts)

    _make_folder(out)
    outcomes_by_case: dict[FoundScan, CaseOutcome] = {}
    with stoppable(), exclusive(out, f"{options.shard.index}-of-{options.shard.count}"):
        with case_progress(len(mine) + len(broken)) as progress:
            for outcome in broken:
                progress.end(outcome)
            for found in discovery.found:
                if found not in mine:
                    continue
                progress.start(found.case_id)
                outcome = _run_case(pipeline, found, out, identity, options.overwrite)
                outcomes_by_case[found] = outcome
                progress.end(outcome)
        outcomes = tuple(outcomes_by_case.get(found) or _recorded(found, out) for found in discovery.found)
        result = BatchResult(out, outcomes + broken, left_out, facts)
        _write_run_file(result, identity, started)
        for step in pipeline.finish:
            step.run({"batch": result}, RunContext(out))
    return result


def _run_case(
    pipeline: Pipeline, found: FoundScan, out: Path, identity: Mapping[str, Any], overwrite: bool
) -> CaseOutcome:
    """Do one case, or see that it is done; every failure becomes part of the outcome."""
    started = time.perf_counter()
    folder = out / found.case_id
    base = CaseOutcome(found.case_id, "done", _source_name(found), folder)
    key = input_hash = ""
    try:
        input_hash = journal.hash_files(found.files)
        key = journal.case_key(input_hash, identity)
        if not overwrite and (status := journal.current(folder, key)) is not None:
            return _from_status(base, status)
        journal.begin(folder)
        context = RunContext(out, found.case_id, overwrite)
        values: dict[str, Any] = {"case": found}
        for step in pipeline.each:
            values[step.name] = step.run(values, context)
        outcome = replace(base, **_what_to_tell(values), seconds=time.perf_counter() - started)
    except MedsegError as error:
        outcome = _failure(
            base, error.what if error.where is None else f"{Path(error.where).name}: {error.what}", error.fix
        )
    except MemoryError:
        outcome = _failure(
            base, "there is not enough memory for this case", "Close other programs or use a larger machine."
        )
    except OSError as error:
        outcome = _failure(
            base, f"{error.strerror or error}", "Check that the file can be read and the disk is not full."
        )
    except Exception as error:
        log.debug("%s", found.case_id, exc_info=True)
        outcome = _failure(
            base,
            f"a bug in medseg: {type(error).__name__}: {error}",
            "Run this one case again with --debug and report what it prints.",
        )
    outputs = _record(folder, key, input_hash, outcome)
    return replace(outcome, outputs=outputs, seconds=time.perf_counter() - started)


def _record(folder: Path, key: str, input_hash: str, outcome: CaseOutcome) -> tuple[str, ...]:
    """Write the record; after a failure nothing but the record stays, so that no half result is taken for a whole."""
    try:
        if outcome.state == "failed":
            journal.begin(folder)
        return journal.finish(folder, key, input_hash, outcome)
    except (OSError, MedsegError) as error:
        log.debug("%s: no record is written (%s)", outcome.case_id, error)
        return ()


def _what_to_tell(values: Mapping[str, Any]) -> dict[str, Any]:
    """Notes and volumes from what the steps left, whatever the steps were called."""
    notes: list[str] = []
    volumes = None
    for value in values.values():
        for source in (value, getattr(getattr(value, "scan", None), "source", None)):
            notes += [note for note in getattr(source, "notes", ()) if note not in notes]
        volumes = value if isinstance(value, Volumes) else volumes
    return {"notes": tuple(notes), "volumes": volumes}


def _failure(base: CaseOutcome, what: str, fix: str | None) -> CaseOutcome:
    return replace(base, state="failed", error=what, fix=fix)


def _broken(item: LeftOut) -> CaseOutcome:
    return CaseOutcome("", "failed", item.path.name, error=item.reason, fix=item.fix)


def _source_name(found: FoundScan) -> str:
    """A name for people that carries no patient data: the file's, or what kind of series it is."""
    return found.description or "DICOM series" if found.format == "dicom" else found.files[0].name


def _plan(found: FoundScan, out: Path, identity: Mapping[str, Any], options: RunOptions) -> CaseOutcome:
    """What a run would do with a case."""
    base = CaseOutcome(found.case_id, "pending", _source_name(found), out / found.case_id)
    if options.overwrite:
        return base
    try:
        key = journal.case_key(journal.hash_files(found.files), identity)
    except OSError as error:
        return _failure(base, str(error), None)
    status = journal.current(out / found.case_id, key)
    return base if status is None else _from_status(base, status)


def _recorded(found: FoundScan, out: Path) -> CaseOutcome:
    """How a case of another shard ended, if it has."""
    base = CaseOutcome(found.case_id, "pending", _source_name(found), out / found.case_id)
    status = journal.read_status(out / found.case_id)
    if status is None:
        return base
    if status.state == "failed":
        return _failure(base, str(status.content.get("error")), status.content.get("fix"))
    return _from_status(base, status)


def _from_status(base: CaseOutcome, status: journal.Status) -> CaseOutcome:
    rows = status.content.get("volumes")
    return replace(
        base,
        state="current",
        notes=tuple(status.content.get("notes", ())),
        outputs=tuple(status.outputs),
        volumes=None if rows is None else Volumes(tuple(ClassVolume(*row) for row in rows)),
    )


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the output folder cannot be made ({error.strerror})", where=out, fix="Choose another --out."
        ) from error


def _write_run_file(result: BatchResult, identity: Mapping[str, Any], started: float) -> None:
    """Write `run.json`: what made these results, how each case ended, and how long it took."""
    content = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(time.time() - started, 3),
        "exit_code": result.exit_code,
        "versions": dict(result.identity),
        **identity,
        "counts": {state: result.count(state) for state in ("done", "current", "failed", "pending")},
        "cases": [
            {
                "case_id": o.case_id,
                "state": o.state,
                "source": o.source,
                "error": o.error,
                "fix": o.fix,
                "seconds": round(o.seconds, 3),
                "outputs": list(o.outputs),
            }
            for o in result.outcomes
        ],
        "left_out": [{"file": item.path.name, "reason": item.reason} for item in result.left_out],
    }
    write_text(result.out / "run.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
