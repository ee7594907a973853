"""One report over what the shards of a run left, as an unsharded run leaves it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from medseg.config.arguments import check_arguments
from medseg.config.bounds import AtLeast0
from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.engine.batch_report import table_of_cases, write_report
from medseg.engine.journal import STATUS_FILE
from medseg.engine.run_files import run_content, write_source_table
from medseg.engine.shard_files import ShardRow, ShardRun, moment, of_another_user, read_shards
from medseg.errors import UsageError
from medseg.harmless import json_text
from medseg.io.files.atomic import write_text
from medseg.io.files.lock import exclusive
from medseg.types.run import BatchResult
from medseg.types.scan import Skipped

log = logging.getLogger("medseg.run")
SAME = ("pipeline", "steps", "medseg")  # what decides the results of every case
MOST_NAMED = 20
Item = TypeVar("Item")


@check_arguments
def report(results: str | Path, *, previews: AtLeast0 = 200) -> BatchResult:
    """Make one report over what the shards of a run left.

    Writes ``run.json``, ``cases.csv``, ``sources.csv`` and ``report.html`` as an unsharded run does. It may be called
    while shards are still running, or after some were lost: those that have not finished are named.

    Parameters
    ----------
    results : str or Path
        Folder of the results, the `out` of `medseg.predict`.
    previews : int
        Previews embedded in the page at most, made small; more are linked. A report in several pages links all.

    Returns
    -------
    BatchResult
        How every case ended that any shard left a row of; `unfinished` has the numbers of shards that did not finish.

    Raises
    ------
    UsageError
        When the folder does not exist, no shard has left anything there, shards were made by different models or
        options, or the latest run has not finished and lacks cases of earlier ones.
    """
    folder = Path(results)
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=folder, fix="Give the --out of `medseg predict --shard`.")
    folder = folder.resolve()
    runs, elsewhere = read_shards(folder)
    if not runs:
        raise UsageError(
            "no shard has left anything there",
            where=folder,
            fix="Run `medseg predict --shard K/N` first; a run without --shard writes its own report.",
        )
    _check_same(runs)
    _check_newest(runs, folder)
    rows = _still_there(_in_order(runs), folder)
    result = _merged(rows, runs, folder)
    _check_complete(result, elsewhere)
    if result.unfinished:
        verb = "has" if len(result.unfinished) == 1 else "have"
        log.warning(
            "%d of %d shards %s not finished: %s",
            len(result.unfinished),
            result.shards,
            verb,
            _named(result.unfinished),
        )
    with exclusive(folder, "report"):
        _write(result, rows, runs, previews)
    return result


def _check_same(runs: Sequence[ShardRun]) -> None:
    """Refuse a mixture: rows of different models under one heading would be taken for one model's."""
    first = runs[0]
    for run in runs[1:]:
        both = f"shards {first.shard.index} and {run.shard.index}"
        again = "Run all of them again with the same command; what is up to date is kept."
        if any(run.content.get(name) != first.content.get(name) for name in SAME):
            what = f"{both} were made by different models, options or versions"
            raise UsageError(what, where=f"run.{run.shard.name}.json", fix=again)
        if run.content["shard"].get("list_sha256") != first.content["shard"].get("list_sha256"):
            # Each did its part of another list: some cases would be in the report twice, and others in no part at all.
            what = f"{both} are parts of different lists of cases"
            raise UsageError(what, where=f"run.{run.shard.name}.json", fix=again)


def _check_newest(runs: Sequence[ShardRun], out: Path) -> None:
    """Refuse to write over the report of a later unsharded run."""
    try:
        content = parse_json((out / "run.json").read_text(encoding="utf-8"))
        if "shards" in content or moment(content["started"]) <= max(moment(run.content["started"]) for run in runs):
            return
    except (OSError, ValueError, KeyError, TypeError):
        return
    raise UsageError(
        "a run without --shard has written its own report since",
        where=out,
        fix="Delete run.*-of-*.json there if the shards no longer count, or run the shards again.",
    )


def _check_complete(result: BatchResult, elsewhere: set[str]) -> None:
    """Refuse a report that lacks cases of earlier runs because a run in other parts has begun."""
    known = elsewhere | _reported(result.out)
    lacking = known - {outcome.case_id for outcome in result.outcomes}
    if not result.unfinished or not lacking:
        return
    parts = f"{len(result.unfinished)} of the {counted(result.shards, 'part')} of the latest run have not finished"
    raise UsageError(
        f"{parts}, and {counted(len(lacking), 'case')} of earlier runs would be missing from the report",
        where=result.out,
        fix=f"Run the other parts ({_named(result.unfinished)}), or delete those of run.*-of-*.json and run.json there "
        "that no longer count.",
    )


def _named(indices: Sequence[int]) -> str:
    return ", ".join(map(str, indices[:MOST_NAMED])) + (" and more" if len(indices) > MOST_NAMED else "")


def _reported(out: Path) -> set[str]:
    """Ids of the cases in a report that is complete; none where there is no such report."""
    try:
        content = parse_json((out / "run.json").read_text(encoding="utf-8"))
        over = content["exit_code"] is not None
        return {str(case["case_id"]) for case in content["cases"] if case["case_id"]} if over else set()
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _merged(rows: Sequence[ShardRow], runs: Sequence[ShardRun], out: Path) -> BatchResult:
    left = _in_turn([run.content.get("skipped", ()) for run in runs])
    count = runs[0].shard.count
    over = {run.shard.index for run in runs if run.is_over}
    return BatchResult(
        out,
        tuple(row.outcome for row in rows),
        tuple(Skipped(Path(item["file"]), item["reason"], source=item["file"]) for item in left),
        tuple((str(name), str(value)) for name, value in runs[0].content.get("versions", {}).items()),
        str(runs[0].content.get("pipeline", "")),
        shards=count,
        unfinished=tuple(index for index in range(1, count + 1) if index not in over),
    )


def _in_order(runs: Sequence[ShardRun]) -> list[ShardRow]:
    """Rows in the order that an unsharded run has: found cases, then corrupt ones, each from the shards in turn."""
    found = [run.rows[: len(run.rows) - run.n_corrupt] for run in runs]
    corrupt = [run.rows[len(run.rows) - run.n_corrupt :] for run in runs]
    return [*_in_turn(found), *_in_turn(corrupt)]


def _still_there(rows: Sequence[ShardRow], out: Path) -> list[ShardRow]:
    """Rows as they are, but those of cases of which the folder or a file was deleted since."""
    present = {entry.name for entry in os.scandir(out) if entry.is_dir()}

    def row_of(row: ShardRow) -> ShardRow:
        outcome = row.outcome
        if not outcome.outputs:
            return row
        files = _files_in(out / outcome.case_id) if outcome.case_id in present else set()
        if files >= {STATUS_FILE, *outcome.outputs}:
            return row
        what = "files of its results are gone" if outcome.case_id in present else "its folder of results is gone"
        gone = replace(
            outcome, state="failed", error=what, fix="Run its shard again.",
            folder=None, outputs=(), volumes=None, warnings=(), notes=(), review_priority=0.0,
        )  # fmt: skip
        return replace(row, outcome=gone)

    return [row_of(row) for row in rows]


def _files_in(folder: Path) -> set[str]:
    """Names in a case's folder; none of one that was deleted just now."""
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except PermissionError as error:
        raise of_another_user(folder) from error


def _in_turn(lists: Sequence[Sequence[Item]]) -> list[Item]:
    """The first of each, then the second of each, and so on: how cases were dealt out."""
    return [item for row in zip_longest(*lists, fillvalue=None) for item in row if item is not None]


def _write(result: BatchResult, rows: Sequence[ShardRow], runs: Sequence[ShardRun], previews: int) -> None:
    first = runs[0].content
    identity = {name: value for name, value in first.items() if name in (*SAME, "models", "trained_on")}
    started, seconds = _times([run.content for run in runs])
    content = run_content(result, identity, started, seconds, is_over=not result.unfinished)
    content["shards"] = {"count": result.shards, "unfinished": list(result.unfinished)}
    write_text(result.out / "run.json", json_text(content))
    write_source_table(result.out, [(row.outcome.case_id, row.outcome.written_state, *row.source) for row in rows])
    write_text(result.out / "cases.csv", table_of_cases(result))
    write_report(result, previews=previews)


def _times(contents: Sequence[Mapping[str, Any]]) -> tuple[str, float]:
    """When the first shard began, and how long it took until the last one ended."""
    began = [moment(content["started"]) for content in contents]
    ended = max(start + float(content["seconds"]) for start, content in zip(began, contents, strict=True))
    return str(contents[began.index(min(began))]["started"]), ended - min(began)
