"""What each shard of a run leaves, in files of its own: how it ended, and a row for each of its cases."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.engine import journal
from medseg.engine.shard import MOST_PARTS, Shard
from medseg.errors import InputError, UsageError
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


def read_shards(out: Path) -> tuple[list[ShardRun], set[str]]:
    """Read what the shards of a folder left, those of the latest run alone where it was in another number of parts.

    Also returns the ids of the cases of other runs. A file that cannot be read counts as not there: its shard has not
    finished.
    """
    named = [(shard, content) for shard in shards_in(out) if (content := _read(out, shard)) is not None]
    if not named:
        return [], set()
    latest = max(named, key=lambda one: (str(one[1].get("started_utc", "")), one[0].count))[0].count
    others = [(shard, content) for shard, content in named if shard.count != latest]
    if others:
        counts = numbers(shard.count for shard, _ in others)
        log.info("only the shards of %d are taken; there are files of runs in %s parts too", latest, counts)
    newest = [(shard, content) for shard, content in named if shard.count == latest]
    runs = [ShardRun(shard, content, _rows(out, shard, content)) for shard, content in newest]
    elsewhere = {str(case["case_id"]) for _, content in others for case in content["cases"] if case["case_id"]}
    return sorted(runs, key=lambda run: run.shard.index), elsewhere


def shards_in(out: Path) -> list[Shard]:
    """Return the shards of which a folder has a file, in whatever number of parts."""
    matches = [match for entry in os.scandir(out) if (match := RUN_FILE.fullmatch(entry.name))]
    return [Shard(int(m[1]), int(m[2])) for m in matches if int(m[1]) <= int(m[2]) <= MOST_PARTS]


def check_other_parts(out: Path, shard: Shard) -> None:
    """Say where a folder has shards of runs in another number of parts, which are no shards of this run.

    Raises `UsageError` where the scheduler named the part: whoever starts one task of an array again would do all cases
    in it, since an array of one task is a whole.
    """
    others = [one.count for one in shards_in(out) if one.count != shard.count]
    if others and shard.of_scheduler:
        raise UsageError(
            f"--shard auto: the array has {counted(shard.count, 'task')}, and there are files of a run in "
            f"{numbers(others)} parts",
            where=out,
            fix=f"To repeat a part of that run, name it: --shard {min(shard.index, max(others))}/{max(others)}. For a "
            f"run in another number of parts, delete run.*-of-{max(others)}.json first.",
        )
    if others:
        log.warning(
            "%d/%d: there are files of a run in %s parts, too; the report is of the latest run, once it is complete",
            shard.index,
            shard.count,
            numbers(others),
        )


def numbers(counts: Iterable[int]) -> str:
    """Return numbers as a sentence has them, each once.

    >>> numbers([200, 3, 3])
    '3 and 200'
    """
    return " and ".join(map(str, sorted(set(counts))))


def _read(out: Path, shard: Shard) -> Mapping[str, Any] | None:
    path = run_file(out, shard)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise of_another_user(path) from error
    except (OSError, ValueError):
        content = None
    if not _is_of(shard, content):
        log.warning("%s cannot be read; run its shard again", path.name)
        return None
    return dict(content)


def _is_of(shard: Shard, content: object) -> bool:
    """Whether a file has what is read of it, and is the file of the shard that its name says."""
    try:
        match content:
            case {
                "started": str(started), "seconds": int() | float() as seconds, "exit_code": int() | None,
                "shard": {"index": shard.index, "count": shard.count, "corrupt": int(corrupt)}, "cases": list(cases),
            }:  # fmt: skip
                moment(started)
                return seconds >= 0 and corrupt >= 0 and all(isinstance(case["case_id"], str) for case in cases)
    except (KeyError, TypeError, ValueError):
        pass
    return False


def moment(text: str) -> float:
    """Return when a run began, in seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def _rows(out: Path, shard: Shard, content: Mapping[str, Any]) -> tuple[ShardRow, ...]:
    path = rows_file(out, shard)
    try:
        with path.open(encoding="utf-8") as stream:
            rows = tuple(_from_json(parse_json(line), out) for line in stream)
    except PermissionError as error:
        raise of_another_user(path) from error
    except (OSError, ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; run its shard again", path.name)
        return ()
    listed = [case["case_id"] for case in content["cases"]]
    if [row.outcome.case_id for row in rows] != listed[: len(rows)]:  # fewer, where a run was killed between the two
        log.warning("%s has other cases than run.%s.json lists; run its shard again", path.name, shard.name)
        return ()
    return rows


def of_another_user(path: Path) -> InputError:
    """Return the error of a file or folder of a shard that this user may not read: what it holds is not known."""
    return InputError(
        "what a shard left may not be read by this user",
        where=path,
        fix="Run `medseg report` as the user who ran the shards.",
    )


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
