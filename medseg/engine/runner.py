"""Runs a pipeline over many cases: one bad case never stops the others, and what is done stays done."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medseg.engine.case_run import expected, recorded, run_cases
from medseg.engine.isolation import Guard, run_isolated
from medseg.engine.pipeline import Pipeline
from medseg.errors import UsageError
from medseg.io.files.atomic import write_text
from medseg.io.files.lock import exclusive
from medseg.log_file import log_file
from medseg.progress import case_progress
from medseg.signals import stoppable
from medseg.types.run import BatchResult, CaseOutcome, Inputs, Preparing
from medseg.types.scan import Discovery, FoundScan, Skipped
from medseg.types.stage import RunContext
from medseg.versions import versions

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
    isolate : bool
        Run the cases in a process of their own, so that a crash costs one case.
    guard : Guard
        What one case may use, where isolated.
    """

    overwrite: bool = False
    dry_run: bool = False
    shard: Shard = Shard()
    isolate: bool = True
    guard: Guard = field(default_factory=Guard)


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
    broken = tuple(_broken(item) for item in discovery.skipped if item.broken)
    identity = {"pipeline": pipeline.name, "steps": pipeline.identity(), "medseg": versions()["medseg"]}
    skipped = tuple(item for item in discovery.skipped if not item.broken)
    facts = (*_models(identity["steps"]), *versions().items())
    if options.dry_run:
        outcomes = tuple(
            expected(found, out, identity, options.overwrite) for found in discovery.found if found in mine
        )
        return BatchResult(out, outcomes + broken, skipped, facts, pipeline.name)

    ended: dict[str, CaseOutcome] = {}
    todo = [found for found in discovery.found if found in mine]
    work = (pipeline, todo, out, identity, options.overwrite)
    with log_file(out), stoppable(), exclusive(out, f"{options.shard.index}-of-{options.shard.count}"):
        with case_progress(len(todo) + len(broken)) as progress:
            for outcome in broken:
                progress.end(outcome)
            own = run_isolated(*work, options.guard) if options.isolate else run_cases(*work, progress.prepare)
            # Closed at once where a signal stops the run: nothing may be written once the lock is given back.
            with closing(own):
                for event in own:
                    if isinstance(event, FoundScan):
                        progress.start(event.case_id)
                    elif isinstance(event, Preparing):
                        progress.prepare(event)
                    else:
                        ended[event.case_id] = event
                        progress.end(event)
        outcomes = tuple(ended.get(found.case_id) or recorded(found, out) for found in discovery.found)
        result = BatchResult(out, outcomes + broken, skipped, facts, pipeline.name)
        _write_run_file(result, identity, started)
        for step in pipeline.finish:
            step.run({"batch": result}, RunContext(out))
    return result


def _models(steps: Any) -> Iterator[tuple[str, str]]:
    """Name the model of every step that has one."""
    for step in steps.values():
        if "model" in step:
            yield "model", str(step["model"])


def _broken(item: Skipped) -> CaseOutcome:
    return CaseOutcome("", "failed", item.path.name, error=item.reason, fix=item.fix)


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
                "computed": None if o.computed is None else o.computed.to_json(),
                "outputs": list(o.outputs),
            }
            for o in result.outcomes
        ],
        "skipped": [{"file": item.path.name, "reason": item.reason} for item in result.skipped],
    }
    write_text(result.out / "run.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
