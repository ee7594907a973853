import json
import logging
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slow_stages import SLOW, Network, ReadCase, Write, events
from toy_stages import Text

from medseg.config.load import build
from medseg.engine.finishing import Finishing
from medseg.engine.isolation import Guard
from medseg.engine.pipeline import PipelineFile, assemble
from medseg.engine.runner import RunOptions, run
from medseg.errors import Interrupted
from medseg.types import Case, FoundScan
from medseg.types.run import BatchResult, CaseOutcome, Inputs
from medseg.types.stage import RunContext

# The writing of a waits for the network of b: where the two are not side by side it fails.
BESIDE = {"waits": {"a": "network b begins"}}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text("small")
    return folder


def go(
    scans: Path, network: dict[str, Any], write: dict[str, Any], isolate: bool = True, seconds: float | None = None
) -> BatchResult:
    pipeline = assemble("slow", build(PipelineFile, SLOW), {"network": network, "write": write})
    options = RunOptions(isolate=isolate, guard=Guard(seconds=seconds))
    return run(pipeline, Inputs((scans,)), scans.parent / "out", options)


def states(result: BatchResult) -> str:
    return " ".join(f"{o.case_id} {o.state}" for o in result.outcomes)


@pytest.mark.parametrize("isolate", [True, False])
def test_a_case_is_finished_beside_the_next_ones_network_and_outcomes_stay_in_order(scans, isolate, caplog):
    caplog.set_level(logging.INFO, logger="medseg.run")
    # Each network waits for the writing before it, and each writing for the network after it.
    network = {"waits": {"b": "write a begins", "c": "write b begins"}}
    write = {"waits": {"a": "network b begins", "b": "network c begins"}}
    result = go(scans, network, write, isolate)
    assert states(result) == "a done b done c done"
    ends = [record.getMessage().split(":")[0] for record in caplog.records if "done in" in record.getMessage()]
    assert ends == ["[1/3] a", "[2/3] b", "[3/3] c"]
    for name in "abc":
        folder = scans.parent / "out" / name
        assert sorted(path.name for path in folder.iterdir()) == ["status.json", "text.txt"]
        assert (folder / "text.txt").read_text() == name
        record = json.loads((folder / "status.json").read_text())
        assert (record["case_id"], record["state"]) == (name, "done")
    assert states(go(scans, network, write, isolate)) == "a current b current c current"


def test_a_large_case_has_the_machine_to_itself(scans):
    (scans / "b.txt").write_text("large")
    assert states(go(scans, {}, {})) == "a done b done c done"
    found = events(scans.parent / "out")
    assert found.index("write a ends") < found.index("network b begins")
    assert found.index("write b ends") < found.index("network c begins")


@pytest.mark.parametrize(
    ("write", "options", "words", "fix", "counts"),
    [
        ({"fail_at": "a"}, {"isolate": True}, "will not do", "", {}),
        ({"fail_at": "a"}, {"isolate": False}, "will not do", "", {}),
        # Nobody could tell whose fault the crash was, so a ran again alone.
        ({"signal_at": "a"}, {}, "SIGSEGV", "", {"write a begins": 2, "network c begins": 1}),
        ({"sleep_at": "a"}, {"seconds": 2.0}, "longer than one case may", "--max-seconds", {}),
    ],
)
def test_what_goes_wrong_in_writing_costs_only_its_case(scans, write, options, words, fix, counts):
    result = go(scans, {}, BESIDE | write, **options)
    assert states(result) == "a failed b done c done"
    assert words in str(result.outcomes[0].error)
    assert fix in str(result.outcomes[0].fix)
    assert [path.name for path in (scans.parent / "out" / "a").iterdir()] == ["status.json"]
    assert {event: events(scans.parent / "out").count(event) for event in counts} == counts


@pytest.mark.parametrize(
    ("network", "options", "words", "counts"),
    [
        ({"fail_at": "b"}, {"isolate": True}, "will not do", {}),
        ({"fail_at": "b"}, {"isolate": False}, "will not do", {}),
        # The first writing of a never ends, because the network of b, begun, brings the process down.
        ({"waits": {"b": "write a begins"}, "signal_at": "b"}, {}, "SIGSEGV", {}),
        ({"sleep_at": "b"}, {"seconds": 2.0}, "longer than one case may", {"network a begins": 1}),
    ],
)
def test_what_goes_wrong_in_the_network_loses_nothing_of_the_case_before(scans, network, options, words, counts):
    result = go(scans, network, BESIDE, **options)
    assert states(result) == "a done b failed c done"
    assert words in str(result.outcomes[1].error)
    assert {event: events(scans.parent / "out").count(event) for event in counts} == counts


def test_a_run_that_is_stopped_leaves_the_case_undone_and_no_thread(scans, monkeypatch):
    made: list[Finishing] = []
    begin, write_text = Finishing.begin, Write.run

    def beginning(self: Finishing, finish: Callable[[], CaseOutcome]) -> None:
        made.append(self)
        begin(self, finish)

    def writing(self: Write, item: Text, context: RunContext) -> Text:
        written = write_text(self, item, context)
        assert made[0]._stop.wait(20), "the run was never left"
        return written

    monkeypatch.setattr(Finishing, "begin", beginning)
    with monkeypatch.context() as while_stopped:
        while_stopped.setattr(Write, "run", writing)
        with pytest.raises(Interrupted, match="SIGTERM"):
            go(scans, {"sleep_at": "b"}, BESIDE | {"signal_at": "a", "number": int(signal.SIGTERM)}, isolate=False)
    assert made
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("finish")]
    assert not list((scans.parent / "out").glob("*/status.json"))
    assert states(go(scans, {}, {}, isolate=False)) == "a done b done c done"


def test_nothing_of_a_case_is_kept_while_a_large_one_is_computed(scans, monkeypatch):
    (scans / "c.txt").write_text("large")
    read: dict[str, Any] = {}
    kept: dict[str, list[str]] = {}
    read_case, compute = ReadCase.run, Network.run

    def reading(self: ReadCase, item: FoundScan, context: RunContext) -> Case:
        case = read_case(self, item, context)
        read[item.case_id] = weakref.ref(case)
        return case

    def computing(self: Network, item: Case, context: RunContext) -> Text:
        kept[item.case_id] = [name for name in read if name < item.case_id and read[name]() is not None]
        return compute(self, item, context)

    monkeypatch.setattr(ReadCase, "run", reading)
    monkeypatch.setattr(Network, "run", computing)
    assert states(go(scans, {}, BESIDE, isolate=False)) == "a done b done c done"
    assert kept["b"] == ["a"], "it is being finished"
    assert kept["c"] == []
