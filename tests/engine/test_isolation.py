import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from toy_stages import STRUCTURE, script

from medseg import progress
from medseg.config.load import build
from medseg.engine.pipeline import PipelineFile, assemble
from medseg.engine.runner import RunOptions, run
from medseg.errors import MissingDependency
from medseg.isolation.process import Guard
from medseg.types.run import BatchResult, Inputs

pytestmark = pytest.mark.starts_workers


def go(texts: Path, out: Path, *, isolate: bool = True, guard: Guard | None = None, **write: Any) -> BatchResult:
    pipeline = assemble("toy", build(PipelineFile, STRUCTURE), {"write": write})
    return run(pipeline, Inputs((texts,)), out, RunOptions(isolate=isolate, guard=guard or Guard()))


def outcome(result: BatchResult, case_id: str) -> Any:
    return {o.case_id: o for o in result.outcomes}[case_id]


def test_a_case_that_floods_the_memory_is_stopped_with_the_numbers(texts, tmp_path):
    result = go(texts, tmp_path / "out", guard=Guard(memory=0.7), hoard_at="a")
    assert "more than the 0.7 GiB" in outcome(result, "a").error
    assert outcome(result, "c").state == "done"


@pytest.mark.parametrize("isolate", [True, False])
def test_what_is_done_once_is_said_before_the_first_case_and_costs_it_no_time(texts, tmp_path, isolate, caplog):
    caplog.set_level("INFO", logger="medseg.run")
    result = go(texts, tmp_path / "out", isolate=isolate, guard=Guard(seconds=1.2), pen="lost")
    assert {o.state for o in result.outcomes if o.case_id in ("a", "c")} == {"done"}
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("looking for a pen, once") == 1
    assert lines.index("looking for a pen, once") < next(n for n, text in enumerate(lines) if "done in" in text)
    caplog.clear()
    go(texts, tmp_path / "out", isolate=isolate, pen="lost")  # a and c are done; the others fail in reading
    assert "looking for a pen, once" not in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("isolate", [True, False])
def test_windows_done_within_a_case_are_heard(texts, tmp_path, isolate, caplog, monkeypatch):
    monkeypatch.setattr(progress, "WINDOWS_EVERY", 0.0)
    caplog.set_level("INFO", logger="medseg.run")
    result = go(texts, tmp_path / "out", isolate=isolate)
    assert outcome(result, "c").state == "done"
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("a: 1 of 2 windows done") == lines.count("c: 1 of 2 windows done") == 1


def test_what_fails_while_getting_ready_fails_in_every_case(texts, tmp_path):
    result = go(texts, tmp_path / "out", pen="broken")
    assert "ZeroDivisionError, report" in outcome(result, "a").error
    assert outcome(result, "a").error == outcome(result, "c").error


@pytest.mark.parametrize("isolate", [True, False])
def test_what_no_case_can_be_done_without_ends_the_run_once_before_the_first(texts, tmp_path, isolate, caplog):
    with pytest.raises(MissingDependency, match=r"there is no pen\. Buy one\.") as missing:
        go(texts, tmp_path / "out", isolate=isolate, pen="sold out")
    assert missing.value.exit_code == 2
    assert not [*(tmp_path / "out").glob("*/status.json")]
    assert "FAILED" not in caplog.text.replace("e.bad: FAILED", "")


def started(texts: Path, out: Path) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A run that hangs in case c, and its worker."""
    process = subprocess.Popen(script(texts, out, {"sleep_at": "c"}), stderr=subprocess.DEVNULL)
    for _ in range(200):
        time.sleep(0.1)
        if [*out.glob(".medseg-part-*-c/quiet.txt")]:
            [worker] = psutil.Process(process.pid).children()
            return process, worker
    raise AssertionError("the run never reached the case")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_worker_ends_with_its_parent_however_that_ends(texts, tmp_path, number):
    process, worker = started(texts, tmp_path / "out")
    os.kill(process.pid, number)
    process.wait(10)
    _, alive = psutil.wait_procs([worker], timeout=5)
    assert not alive
    result = go(texts, tmp_path / "out")
    assert outcome(result, "a").state == "current"
    assert outcome(result, "c").state == "done"
