"""What each shard of a run leaves, in files of its own: how it ended, and a row for each of its cases."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.engine import journal
from medseg.engine.shard import Shard
from medseg.io.files.atomic import write_private
from medseg.types.how_computed import HowComputed
from medseg.types.run import BatchResult, CaseOutcome, Volumes

log = logging.getLogger("medseg.run")
RUN_FILE = re.compile(r"run\.([1-9]\d*)-of-([1-9]\d*)\.json")


@dataclass(frozen=True)
class ShardRow:
    """How one case of a shard ended, and the way back to its scan."""

    outcome: CaseOutcome
    source: tuple[str, str, str, str]  # series UID, study UID, path below an input, input_sha256


@dataclass(frozen=True)
class ShardRun:
    """What one shard left."""

    shard: Shard
    content: Mapping[str, Any]  # of its ``run.K-of-N.json``
    rows: tuple[ShardRow, ...]

    @property
    def n_corrupt(self) -> int:
        """How many of its last rows are of files that the search found corrupt."""
        return min(int(self.content["shard"]["corrupt"]), len(self.rows))

    @property
    def is_over(self) -> bool:
        """Whether it came to its end; one that was stopped, is still running or lacks rows did not."""
        return self.content.get("exit_code") is not None and len(self.rows) == len(self.content["cases"])


def run_file(out: Path, shard: Shard) -> Path:
    """Return where a shard's ``run.json`` is."""
    return out / f"run.{shard.name}.json"


def rows_file(out: Path, shard: Shard) -> Path:
    """Return where a shard's rows are, readable by their owner only: paths and UIDs may identify a patient."""
    return out / f"cases.{shard.name}.jsonl"


def write_rows(result: BatchResult, shard: Shard, origins: Sequence[tuple[str, str, str]]) -> None:
    """Write the rows of a shard: a line of JSON for each outcome, with its series UID, study UID and path."""
    lines = []
    for outcome, origin in zip(result.outcomes, origins, strict=True):
        digest = journal.input_hash(result.out / outcome.case_id)
        lines.append(json.dumps({**_to_json(outcome), "origin": [*origin, digest]}))
    write_private(rows_file(result.out, shard), "".join(f"{line}\n" for line in lines))


def read_shards(out: Path) -> list[ShardRun]:
    """Read what the shards of a folder left; of an earlier run in another number of parts, nothing.

    A file that cannot be read counts as not there: its shard has not finished.
    """
    named = [(Shard(int(m[1]), int(m[2])), p) for p in out.iterdir() if (m := RUN_FILE.fullmatch(p.name)) and _fits(m)]
    contents = [(shard, content) for shard, path in named if (content := _read(path)) is not None]
    if not contents:
        return []
    latest = max(contents, key=lambda one: (str(one[1].get("started_utc", "")), one[0].count))[0].count
    others = {shard.count for shard, _ in contents} - {latest}
    if others:
        log.info("only the shards of %d are taken; there are files of runs in %s parts too", latest, _named(others))
    runs = [ShardRun(shard, content, _rows(out, shard)) for shard, content in contents if shard.count == latest]
    return sorted(runs, key=lambda run: run.shard.index)


def _named(counts: Iterable[int]) -> str:
    return " and ".join(map(str, sorted(counts)))


def _fits(match: re.Match[str]) -> bool:
    return int(match[1]) <= int(match[2])


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or not {"started", "shard", "cases"} <= set(content):
        log.warning("%s cannot be read; run its shard again", path.name)
        return None
    return content


def _rows(out: Path, shard: Shard) -> tuple[ShardRow, ...]:
    path = rows_file(out, shard)
    try:
        with path.open(encoding="utf-8") as stream:
            return tuple(_from_json(parse_json(line), out) for line in stream)
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; run its shard again", path.name)
        return ()


def _to_json(outcome: CaseOutcome) -> dict[str, Any]:
    return {**outcome.to_json(), "outputs": list(outcome.outputs), "seconds": outcome.seconds}


def _from_json(row: Mapping[str, Any], out: Path) -> ShardRow:
    case_id = str(row["case_id"])
    outcome = CaseOutcome(
        case_id,
        row["state"],
        str(row["source"]),
        out / case_id if case_id else None,
        row["error"],
        row["fix"],
        tuple(row["warnings"]),
        tuple(row["notes"]),
        tuple(row["outputs"]),
        None if row["volumes"] is None else Volumes.from_json(row["volumes"]),
        float(row["review_priority"]),
        float(row["seconds"]),
        None if row["computed"] is None else HowComputed.from_json(row["computed"]),
        row["read_back"],
        row.get("code"),
    )
    series_uid, study_uid, path, digest = map(str, row["origin"])
    return ShardRow(outcome, (series_uid, study_uid, path, digest))
