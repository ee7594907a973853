import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import pytest
from toy_stages import ReadText, Summary, Text, script

from medseg.cluster.connection import OnCluster
from medseg.engine import case_in_hand, refresh, runner
from medseg.engine.case_run import run_cases
from medseg.engine.isolation import CaseEvent
from medseg.engine.outcomes import Work
from medseg.engine.pipeline import PipelineFile, assemble
from medseg.engine.runner import RunOptions, run
from medseg.engine.shard import Shard
from medseg.engine.staging import MissingScan
from medseg.errors import Interrupted, ResourceLimit, UsageError
from medseg.isolation.process import Guard
from medseg.types import FoundScan
from medseg.types.run import BatchResult, Inputs
from medseg.types.stage import RunContext


def go(structure: PipelineFile, texts: Path, out: Path, config: Any = None, **options: Any) -> BatchResult:
    pipeline = assemble("toy", structure, config or {})
    return run(pipeline, Inputs((texts,)), out, RunOptions(**{"isolate": False, **options}))


def states(result: BatchResult) -> dict[str, str]:
    return {o.case_id or o.source: o.state for o in result.outcomes}


def test_one_bad_case_never_stops_the_others(structure, texts, tmp_path):
    result = go(structure, texts, tmp_path / "out")
    assert states(result) == {"a": "done", "b": "failed", "c": "done", "d": "failed", "e.bad": "failed"}
    assert result.exit_code == 3
    assert (tmp_path / "out" / "c" / "loud.txt").read_text() == "THREE!"
    by_case = {o.case_id: o for o in result.outcomes}
    assert by_case["b"].error == "cannot be read"
    assert by_case["b"].fix == "Write it again."
    assert "unexpected error ended this case (ZeroDivisionError, report" in str(by_case["d"].error)
    assert "a surprise" not in str(by_case["d"].error)  # it may quote the patient
    assert [item.path.name for item in result.skipped] == ["f.pdf"]
    # A failed case leaves its record and nothing else.
    assert [path.name for path in (tmp_path / "out" / "b").iterdir()] == ["status.json"]
    assert json.loads((tmp_path / "out" / "b" / "status.json").read_text())["fix"] == "Write it again."


def test_a_second_run_does_only_what_is_missing_or_changed(structure, texts, tmp_path):
    out = tmp_path / "out"
    go(structure, texts, out)
    assert states(go(structure, texts, out))["a"] == "current"
    (texts / "b.txt").write_text("two")
    (texts / "c.txt").write_text("thrice")
    assert states(go(structure, texts, out)) == {
        "a": "current", "b": "done", "c": "done", "d": "failed", "e.bad": "failed",
    }  # fmt: skip
    (out / "a" / "loud.txt").write_text("tampered")
    assert states(go(structure, texts, out))["a"] == "done"
    (out / "a" / "quiet.txt").unlink()
    assert states(go(structure, texts, out))["a"] == "done"
    assert states(go(structure, texts, out, {"shout": {"mark": "?"}}))["a"] == "done"
    assert (out / "a" / "loud.txt").read_text() == "ONE?"
    assert states(go(structure, texts, out, overwrite=True))["a"] == "done"


def test_a_scan_that_is_not_where_it_was_costs_nobody_what_was_made_of_it(structure, texts, tmp_path, monkeypatch):
    out = tmp_path / "out"
    go(structure, texts, out)
    before = {path: path.read_bytes() for path in out.glob("*/*")}

    def gone(*_: object) -> NoReturn:
        raise MissingScan("the file that the manifest lists is not there")

    monkeypatch.setattr(case_in_hand, "stage", gone)
    result = go(structure, texts, out)
    errors = {outcome.case_id: outcome.error for outcome in result.outcomes}
    assert states(result)["a"] == "failed"
    assert errors["a"] == "the file that the manifest lists is not there; what was made of it before is kept"
    assert errors["b"] == "the file that the manifest lists is not there"  # it failed before
    assert {path: path.read_bytes() for path in out.glob("*/*")} == before


def test_a_failed_case_is_tried_again(structure, texts, tmp_path, monkeypatch):
    """What failed for the moment, for want of memory, need not fail again."""

    def full(self: ReadText, item: FoundScan, context: RunContext) -> Text:
        raise ResourceLimit("there is no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(ReadText, "run", full)
        assert states(go(structure, texts, tmp_path / "out"))["a"] == "failed"
    assert states(go(structure, texts, tmp_path / "out"))["a"] == "done"


def test_results_carry_no_trace_of_when_they_were_made(structure, texts, tmp_path):
    for name in ("first", "second"):
        go(structure, texts, tmp_path / name)

    def content(name: str) -> dict[str, bytes]:
        root = tmp_path / name
        files = (p for p in root.rglob("*") if p.is_file() and p.name not in ("run.json", "medseg.log"))
        return {str(p.relative_to(root)): p.read_bytes() for p in files}

    assert content("first") == content("second")


def test_a_dry_run_writes_nothing(structure, texts, tmp_path):
    result = go(structure, texts, tmp_path / "out", dry_run=True)
    assert states(result)["a"] == "pending"
    assert not (tmp_path / "out").exists()


def test_shards_together_do_every_case_once(structure, texts, tmp_path):
    out = tmp_path / "out"
    first = go(structure, texts, out, shard=Shard(1, 2))
    assert states(first) == {"a": "done", "c": "done", "e.bad": "failed"}
    assert first.elsewhere == 2
    assert states(go(structure, texts, out, shard=Shard.parse("2/2"))) == {"b": "failed", "d": "failed"}
    assert not (out / "run.json").exists()
    assert not (out / "summary.txt").exists()
    idle = go(structure, texts, out, shard=Shard(9, 9))
    assert (idle.outcomes, idle.exit_code) == ((), 0)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_a_shard_that_makes_no_sense_is_rejected(text):
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


def test_nothing_found_and_nothing_worked_are_exit_code_4(structure, texts, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert go(structure, empty, tmp_path / "out").exit_code == 4
    for name in "ac":
        (texts / f"{name}.txt").unlink()
    assert go(structure, texts, tmp_path / "out").exit_code == 4


def test_a_folder_of_somebody_else_is_never_touched(structure, texts, tmp_path):
    theirs = tmp_path / "out" / "c"
    theirs.mkdir(parents=True)
    (theirs / "scan.dcm").write_text("precious")
    result = go(structure, texts, tmp_path / "out")
    assert "holds other files" in str({o.case_id: o for o in result.outcomes}["c"].error)
    assert [path.name for path in theirs.iterdir()] == ["scan.dcm"]


@pytest.mark.parametrize("link", [False, True])
def test_a_scan_in_the_folder_for_its_own_results_is_never_touched(structure, texts, tmp_path, link):
    """A case's folder is made anew by every run, with whatever somebody has put into it."""
    out = tmp_path / "out"
    assert states(go(structure, texts, out))["c"] == "done"
    scan, given = out / "c" / "c.txt", out / "c"
    scan.write_text("new")
    if link:
        given = tmp_path / "given"
        given.mkdir()
        (given / "c.txt").symlink_to(scan)
    before = {path.name for path in (out / "c").iterdir()}
    outcomes = {one.case_id: one for one in go(structure, given, out).outcomes}
    assert outcomes["c"].error == "the scan lies in the folder that is for its results"
    assert {path.name for path in (out / "c").iterdir()} == before
    assert scan.read_text() == "new"


def test_two_runs_cannot_write_the_same_folder_at_once(structure, texts, tmp_path):
    from medseg.io.files.lock import exclusive

    out = tmp_path / "out"
    out.mkdir()
    with exclusive(out, "1-of-1"), pytest.raises(UsageError, match="another medseg run"):
        go(structure, texts, out)


def test_tables_are_refreshed_while_the_batch_runs(structure, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "EVERY", 0.0)
    monkeypatch.setattr(refresh, "TIMES", 0.0)
    monkeypatch.setattr(Summary, "refreshes", True, raising=False)
    written = []

    def run_and_note(self: Summary, item: BatchResult, context: RunContext) -> BatchResult:
        written.append([outcome.state for outcome in item.outcomes][:4])
        return item

    monkeypatch.setattr(Summary, "run", run_and_note)
    go(structure, texts, tmp_path / "out")
    done, failed, pending = "done", "failed", "pending"
    assert written == [
        [done, pending, pending, pending],
        [done, failed, pending, pending],
        [done, failed, done, pending],
        [done, failed, done, failed],
        [done, failed, done, failed],
    ]
    del written[:]
    monkeypatch.setattr(Summary, "refreshes", False)
    go(structure, texts, tmp_path / "out")
    assert written == [["current", failed, "current", failed]], "other stages run at the end alone"
    assert json.loads((tmp_path / "out" / "run.json").read_text())["exit_code"] == 3


def test_a_report_that_cannot_be_refreshed_costs_no_case(structure, texts, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(refresh, "EVERY", 0.0)
    monkeypatch.setattr(Summary, "refreshes", True, raising=False)
    run_it, failures = Summary.run, [OSError("no space")]

    def fail_first(self: Summary, item: BatchResult, context: RunContext) -> BatchResult:
        if failures:
            raise failures.pop()
        return run_it(self, item, context)

    monkeypatch.setattr(Summary, "run", fail_first)
    assert states(go(structure, texts, tmp_path / "out"))["c"] == "done"
    assert "The report of the cases so far could not be written: no space" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tables_are_refreshed_when_a_signal_ends_the_run(structure, texts, tmp_path, monkeypatch, number):
    """Cases of this run and of the one before are in them; what no run reached is pending."""
    monkeypatch.setattr(Summary, "refreshes", True, raising=False)
    (texts / "0.txt").write_text("zero")
    out = tmp_path / "out"
    for signal_at, first in (("c", "done"), ("0", "pending")):
        stop = {"write": {"signal_at": signal_at, "number": int(number)}}
        with pytest.raises(Interrupted):
            go(structure, texts, out, stop)
        found = dict(line.split(" ") for line in (out / "summary.txt").read_text().splitlines())
        assert found["0"] == first
        assert found["c"] == found["d"] == "pending"
        run = json.loads((out / "run.json").read_text())
        assert run["exit_code"] is None
        cases = run["cases"]
        assert [case["state"] for case in cases if case["case_id"] == "a"] == ["done"]
        assert "c,pending" in (out / "sources.csv").read_text()
        (texts / "0.txt").write_text("other")


def test_a_signal_stops_the_run_and_the_next_goes_on(structure, texts, tmp_path):
    stop = {"write": {"signal_at": "c", "number": int(signal.SIGTERM)}}
    with pytest.raises(Interrupted, match="SIGTERM"):
        go(structure, texts, tmp_path / "out", stop)
    assert not (tmp_path / "out" / "c" / "status.json").exists()
    result = go(structure, texts, tmp_path / "out")
    assert states(result)["a"] == "current"
    assert states(result)["c"] == "done"


def test_a_killed_run_loses_at_most_the_case_in_hand(structure, texts, tmp_path):
    out = tmp_path / "out"
    killed = subprocess.run(script(texts, out, {"signal_at": "c"}, isolate=False), capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [*out.glob(".medseg-part-*-c/quiet.txt")], "it was killed between two files of a case"
    assert not (out / "c").exists()
    result = go(structure, texts, out)
    assert not [*out.glob(".medseg-part-*")]
    assert states(result)["a"] == "current"
    assert states(result)["c"] == "done"
    assert sorted(p.name for p in (out / "c").iterdir()) == ["loud.txt", "quiet.txt", "status.json"]


def test_where_no_cluster_answers_nothing_is_written(structure, texts, tmp_path, monkeypatch):
    def nobody(where: OnCluster) -> NoReturn:
        raise UsageError("no Ray cluster answers there", where=f"--ray {where.address}")

    monkeypatch.setattr(runner, "connected", nobody)
    with pytest.raises(UsageError, match="no Ray cluster"):
        go(structure, texts, tmp_path / "out", cluster=OnCluster("auto"))
    assert not (tmp_path / "out").exists()


def test_what_was_done_until_a_cluster_was_lost_is_in_the_tables(structure, texts, tmp_path, monkeypatch):
    def lost(work: Work, cases: Sequence[FoundScan], guard: Guard, _: object) -> Iterator[CaseEvent]:
        yield from run_cases(work, cases[:1], lambda _: None)
        raise ResourceLimit("the connection to the Ray cluster was lost")

    monkeypatch.setattr(runner, "connected", nullcontext)
    monkeypatch.setattr(runner, "run_on_cluster", lost)
    with pytest.raises(ResourceLimit):
        go(structure, texts, tmp_path / "out", cluster=OnCluster("auto"))
    content = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [case["state"] for case in content["cases"]] == ["done", "pending", "pending", "pending", "failed"]
    assert content["exit_code"] is None
