"""Runs a pipeline over many cases: one bad case never stops the others, and what is done stays done."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseg.cluster.connection import Cluster, OnCluster, connected
from medseg.counted import counted
from medseg.engine import journal
from medseg.engine.case_folder import holds
from medseg.engine.case_run import run_cases
from medseg.engine.cluster_cases import run_on_cluster
from medseg.engine.isolation import CaseEvent, run_isolated
from medseg.engine.outcomes import Work, expected, record_corrupt, so_far
from medseg.engine.pipeline import Pipeline
from medseg.engine.refresh import Refresh
from medseg.engine.run_files import origins_of, remember_inputs, write_run_file, write_shard_files, write_sources
from medseg.engine.shard import Shard
from medseg.engine.shard_files import check_other_parts
from medseg.errors import InputError, Interrupted, MedsegError
from medseg.io.files.lock import exclusive
from medseg.isolation.process import Guard
from medseg.log_file import log_file
from medseg.progress import case_progress
from medseg.signals import stoppable
from medseg.types.run import BatchResult, CaseOutcome, Inputs
from medseg.types.scan import Discovery, FoundScan
from medseg.types.stage import RunContext
from medseg.versions import versions

log = logging.getLogger("medseg.run")


@dataclass(frozen=True)
class RunOptions:
    """How to run, as opposed to what.

    `isolate` runs the cases in a process of their own, so that a crash costs one case, and `guard` limits each there.
    `cluster` is where they run instead of on this machine alone. A `shard` leaves files of its own, be it 1 of 1.
    """

    overwrite: bool = False
    dry_run: bool = False
    shard: Shard | None = None
    isolate: bool = True
    guard: Guard = field(default_factory=Guard)
    cluster: OnCluster | None = None


def run(pipeline: Pipeline, inputs: Inputs, out: Path, options: RunOptions | None = None) -> BatchResult:
    """Run an assembled pipeline over everything found in the inputs; each case has one folder below `out`.

    A signal to stop raises `Interrupted`; what is done is kept.
    """
    options = options or RunOptions()
    work = Work(pipeline, out.resolve(), options.overwrite)
    started = time.time()
    guard, shard = options.guard, options.shard
    discovery: Discovery = pipeline.gather.stage.run(
        replace(
            inputs,
            series_criteria=pipeline.series_criteria(),
            channels=pipeline.channels(),
            max_memory=guard.memory,
            max_seconds=guard.seconds,
            part=(1, 1) if shard is None else (shard.index, shard.count),
        ),
        RunContext(work.out),
    )
    discovery = discovery if shard is None else shard.own(discovery)
    count = 1 if shard is None else shard.count
    if options.dry_run:
        return _result(work, discovery, {found.case_id: expected(found, work) for found in discovery.found}, count)
    with (
        # Before anything is written: where no cluster answers, nothing has begun.
        nullcontext() if options.cluster is None else connected(options.cluster) as cluster,
        log_file(work.out),
        stoppable(),
        exclusive(work.out, (shard or Shard()).name),
    ):
        if not options.overwrite and (
            outdated := sum(journal.is_outdated(work.out / found.case_id) for found in discovery.found)
        ):
            log.info("segmenting %s of an earlier version again", counted(outdated, "case"))
        ended: dict[str, CaseOutcome] = {}
        origins = origins_of(inputs, discovery)

        def write(*, is_over: bool) -> BatchResult:
            others = {found.case_id: so_far(found, work) for found in discovery.found if found.case_id not in ended}
            result = _result(work, discovery, ended | others, count)
            identity = {
                **work.identity,
                "models": pipeline.card_summaries(),
                "trained_on": pipeline.trained_on(),
            }
            remember_inputs(work.out, inputs.paths)
            if shard is not None:
                # What stands for all shards is made of their files by `medseg report`; no two processes write one.
                n_corrupt = sum(left.corrupt for left in discovery.skipped)
                write_shard_files(result, shard, identity, started, origins, n_corrupt, is_over=is_over)
                return result
            write_run_file(result, identity, started, is_over=is_over)
            write_sources(result, origins)
            for step in pipeline.finish:
                if is_over or step.refreshes:
                    step.run({"batch": result}, RunContext(work.out))
            return result

        refresh = Refresh(lambda: write(is_over=False))
        if shard is not None:
            check_other_parts(work.out, shard)
            refresh.now()  # so that a shard that dies at once is known to have begun, and its cases to be open
        try:
            _run_cases(work, discovery, options, cluster, ended, refresh)
        except (Interrupted, MedsegError):  # what was done until then counts
            refresh.now()
            raise
        return write(is_over=True)


def _run_cases(
    work: Work,
    discovery: Discovery,
    options: RunOptions,
    cluster: Cluster | None,
    ended: dict[str, CaseOutcome],
    refresh: Refresh,
) -> None:
    """Run this process's part of the cases, show how each ends and add it to `ended`."""
    todo, corrupt = discovery.found, _corrupt(discovery, work.out)
    with case_progress(len(todo) + len(corrupt)) as progress:
        for outcome in corrupt:
            progress.end(outcome)
        files = [left.path for left in discovery.skipped if left.corrupt]
        for outcome, file in zip(corrupt, files, strict=True):
            record_corrupt(outcome, file)
        own: Generator[CaseEvent, None, None]
        if cluster is not None:
            own = run_on_cluster(work, todo, options.guard, cluster)
        elif options.isolate:
            own = run_isolated(work, todo, options.guard)
        else:
            own = run_cases(work, todo, progress.announce)
        # Closed at once where a signal stops the run: nothing may be written once the lock is given back.
        with closing(own):
            for event in own:
                if isinstance(event, FoundScan):
                    progress.start(event.case_id)
                elif isinstance(event, CaseOutcome):
                    ended[event.case_id] = event
                    progress.end(event)
                    refresh.when_due()
                else:
                    progress.announce(event)


def _result(work: Work, discovery: Discovery, ended: Mapping[str, CaseOutcome], shards: int = 1) -> BatchResult:
    outcomes = tuple(ended[found.case_id] for found in discovery.found if found.case_id in ended)
    skipped = tuple(item for item in discovery.skipped if not item.corrupt)
    identity = (*work.pipeline.sources(), *versions().items())
    return BatchResult(
        work.out,
        outcomes + _corrupt(discovery, work.out),
        skipped,
        identity,
        work.pipeline.name,
        elsewhere=discovery.elsewhere,
        whole_list=discovery.whole_list,
        shards=shards,
    )


def _corrupt(discovery: Discovery, out: Path) -> tuple[CaseOutcome, ...]:
    """Outcomes of files that claim to be scans and cannot be read; they have a record where the search named them."""
    return tuple(
        CaseOutcome(
            item.case_id,
            "failed",
            item.source or item.path.name,
            out / item.case_id if item.case_id and not holds(out / item.case_id, [item.path]) else None,
            error=item.reason,
            fix=item.fix,
            code=item.code or InputError.code_of_kind(),
        )
        for item in discovery.skipped
        if item.corrupt
    )
