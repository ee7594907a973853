"""What a run leaves for machines: `run.json`, what made the results, and `sources.csv`, the way back to the scans."""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.engine import journal
from medseg.engine.shard import Shard
from medseg.engine.shard_files import run_file, write_rows
from medseg.harmless import TableWriter, json_text
from medseg.io.files.addresses import scheme_of
from medseg.io.files.atomic import write_private, write_text
from medseg.io.files.walk import input_above, real
from medseg.types.run import BatchResult, CaseOutcome, Inputs
from medseg.types.scan import Discovery, FoundScan

# Where the inputs of a folder's runs lie, so that a scan is found again; hidden, because paths may name a patient.
INPUTS_FILE = ".medseg-inputs.json"
SECONDS_FILE = "seconds.csv"  # of a node: it has no run.json
Origin = tuple[str, str, str, str]  # case id, series UID, study UID, path below an input


def write_run_file(result: BatchResult, identity: Mapping[str, Any], started: float, *, is_over: bool) -> None:
    """Write `run.json`: what made these results, how each case ended, and how long it took.

    A run that is not over has no exit code: it may be killed, and what it leaves must not look like success.
    """
    begun = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started))
    content = run_content(result, identity, begun, time.time() - started, is_over=is_over)
    write_text(result.out / "run.json", json_text(content))


def run_content(
    result: BatchResult, identity: Mapping[str, Any], started: str, seconds: float, *, is_over: bool
) -> dict[str, Any]:
    """Return what `run.json` holds."""
    states = [outcome.written_state for outcome in result.outcomes]
    return {
        "started": started,
        "seconds": round(seconds, 3),
        "exit_code": result.exit_code if is_over else None,
        "versions": dict(result.identity),
        **identity,
        "counts": {state: states.count(state) for state in ("done", "failed", "withheld", "pending")},
        "cases": [_case(outcome) for outcome in result.outcomes],
        "skipped": [{"file": item.source or item.path.name, "reason": item.reason} for item in result.skipped],
    }


def _case(outcome: CaseOutcome) -> dict[str, Any]:
    return {
        "case_id": outcome.case_id,
        "state": outcome.written_state,
        "source": outcome.source,
        "error": outcome.error,
        "fix": outcome.fix,
        "code": outcome.code,
        "warnings": list(outcome.warnings),
        "seconds": round(outcome.seconds, 3),
        "computed": None if outcome.computed is None else outcome.computed.to_json(),
        "outputs": list(outcome.outputs),
    }


def write_shard_files(
    result: BatchResult,
    shard: Shard,
    identity: Mapping[str, Any],
    started: float,
    origins: Sequence[Origin],
    n_corrupt: int,
    *,
    is_over: bool,
) -> None:
    """Write what one shard leaves, in files that no other writes; the one that says whether it ended comes last."""
    write_rows(result, shard, [origin[1:] for origin in origins])
    begun = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started))
    content = run_content(result, identity, begun, time.time() - started, is_over=is_over)
    content["shard"] = {
        "index": shard.index,
        "count": shard.count,
        "corrupt": n_corrupt,
        "cases_elsewhere": result.elsewhere,
        "list_sha256": result.whole_list,
    }
    content["started_utc"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
    write_text(run_file(result.out, shard), json_text(content))


def origins_of(inputs: Inputs, discovery: Discovery) -> list[Origin]:
    """Case id, series UID, study UID and path below an input of every case, those found before those corrupt."""
    scans: list[tuple[str, Path | str, str | None, str | None]] = [
        (found.case_id, _place(found), found.series_uid, found.study_uid) for found in discovery.found
    ]
    scans += [(left.case_id, left.path, None, None) for left in discovery.skipped if left.corrupt]
    roots = {real(path) for path in inputs.paths}
    return [
        (
            case_id,
            series_uid or "",
            study_uid or "",
            place if isinstance(place, str) else _relative(place, roots),
        )
        for case_id, place, series_uid, study_uid in scans
    ]


def write_sources(result: BatchResult, origins: Sequence[Origin]) -> None:
    """Write `sources.csv`, readable by its owner only: paths and UIDs may identify a patient."""
    states = {outcome.case_id: outcome.written_state for outcome in result.outcomes}
    rows = [(one[0], states[one[0]], *one[1:], journal.input_hash(result.out / one[0])) for one in origins]
    write_source_table(result.out, rows)


def write_source_table(out: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write `sources.csv` of case id, state, series, study, path below an input and its hash, for its owner only."""
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(["case_id", "state", "series_uid", "study_uid", "path", "input_sha256"])
    writer.writerows(rows)
    write_private(out / "sources.csv", stream.getvalue())


def remember_inputs(out: Path, paths: Iterable[Path]) -> None:
    """Remember where the inputs of a folder of results are, so that a scan is found again."""
    before = read_inputs(out)
    places = [str(real(path)) for path in paths]
    write_private(out / INPUTS_FILE, json.dumps([*dict.fromkeys([*places, *map(str, before)])]) + "\n")


def read_inputs(out: Path) -> tuple[Path, ...]:
    """Return the files and folders that the runs into a folder were given, the last run's first."""
    try:
        places = parse_json((out / INPUTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(Path(place) for place in places if isinstance(place, str)) if isinstance(places, list) else ()


def _place(found: FoundScan) -> Path | str:
    """The file or folder of a scan; the address of one that is elsewhere."""
    addresses = [one.recorded.addresses for one in found.channels or (found,) if one.recorded is not None]
    if any(scheme_of(address) is not None for group in addresses for address in group):
        several = [address for group in addresses for address in group]
        return several[0] if len(several) == 1 else os.path.commonprefix(several).rpartition("/")[0]  # noqa: RUF071
    return Path(os.path.commonpath(found.places))


def _relative(path: Path, roots: Collection[Path]) -> str:
    """The path below the input it was found in; the name of an input that is the file itself."""
    path = real(path)
    root = input_above(path, roots)
    return path.name if root is None or root == path else path.relative_to(root).as_posix()


def add_seconds(out: Path, case_id: str, seconds: float) -> None:
    """Note how long a case took, in a folder without a run that says so, as a node's; the last note counts."""
    with (out / SECONDS_FILE).open("a", encoding="utf-8") as stream:
        stream.write(f"{case_id},{seconds:.3f}\n")


def noted_seconds(out: Path) -> dict[str, float]:
    """Return what `add_seconds` noted of each case; a line that a stop has cut says nothing."""
    try:
        text = (out / SECONDS_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    found: dict[str, float] = {}
    for line in text.splitlines(keepends=True):
        case_id, _, number = line.rpartition(",")
        if case_id and number.endswith("\n") and re.fullmatch(r"\d+\.\d{3}", number.strip()):
            found[case_id] = float(number)
    return found
