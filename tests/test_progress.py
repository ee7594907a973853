"""Progress of a batch: a line for each case that ends, windows within a case, time left by cases that were computed."""

import logging
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from medseg import pace, progress
from medseg.pace import Pace, as_clock
from medseg.types.how_computed import HowComputed, WindowCount
from medseg.types.run import CaseOutcome, WindowsDone


def ended(case_id: str, state: Any = "done", seconds: float = 8.0, windows: WindowCount | None = None) -> CaseOutcome:
    computed = None if windows is None else HowComputed("toy", windows=windows)
    return CaseOutcome(case_id, state, f"{case_id}.nii.gz", seconds=seconds, computed=computed)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told to."""
    now = SimpleNamespace(time=100.0)
    monkeypatch.setattr(pace.time, "monotonic", lambda: now.time)
    return now


def test_the_time_left_is_that_of_cases_that_ran_the_network(clock):
    counted = Pace(10)
    assert counted.remaining() is None
    for seconds, outcome in (
        (0.1, ended("a", "current", 0.1)),
        (0.2, ended("b", "failed", 0.2)),
        (0.2, ended("c", "withheld", 0.2)),
        (0.3, ended("d", windows=WindowCount(reused=7, skipped=2))),
        (8.0, ended("e", windows=WindowCount(computed=5, reused=3))),
        (4.0, ended("f", seconds=9.0)),  # overlapped with the one before
    ):
        clock.time += seconds
        counted.add(outcome)
    assert (counted.done, counted.left) == (6, 4)
    assert counted.remaining() == pytest.approx(4 * 6.0)
    assert counted.remaining(0.5) == pytest.approx(3.5 * 6.0)
    assert as_clock(3725.4) == "1:02:05"


def test_lines_say_how_each_case_ended_and_what_is_left(clock, caplog):
    caplog.set_level(logging.INFO, "medseg.run")
    with progress.case_progress(3) as shown:
        shown.start("a")
        clock.time += 30
        shown.announce(WindowsDone("a", 10, 400))
        clock.time += 31
        shown.announce(WindowsDone("a", 21, 400))
        shown.announce(WindowsDone("a", 22, 400))
        shown.end(ended("a", seconds=61.0))
        shown.end(ended("b", "current"))
        clock.time += 61
        shown.end(ended("c", seconds=61.0))
    assert [record.getMessage() for record in caplog.records] == [
        "a: 21 of 400 windows done",
        "[1/3] a: done in 61.0 s, about 0:02:02 left",
        "[2/3] b: up to date",
        "[3/3] c: done in 61.0 s",
    ]


def test_what_to_do_about_cases_that_are_withheld_is_said_once(clock, caplog):
    def withheld(case_id, fix):
        return CaseOutcome(
            case_id, "withheld", f"{case_id}.nii", error="Not a head", fix=fix, code="E-not-for-this-model"
        )

    with progress.case_progress(4) as shown:
        for case_id, fix in (
            ("a", "Give a head."),
            ("b", "Give a head."),
            ("c", "Give a foot."),
            ("d", "Give a head."),
        ):
            shown.end(withheld(case_id, fix))
    assert [record.getMessage() for record in caplog.records] == [
        "[1/4] a (a.nii): WITHHELD: Not a head. Give a head. [E-not-for-this-model]",
        "[2/4] b (b.nii): WITHHELD: Not a head. What to do is as above. [E-not-for-this-model]",
        "[3/4] c (c.nii): WITHHELD: Not a head. Give a foot. [E-not-for-this-model]",
        "[4/4] d (d.nii): WITHHELD: Not a head. What to do is as above. [E-not-for-this-model]",
    ]


def test_a_terminal_has_the_same_lines_and_a_bar_that_moves_within_a_case(clock, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "medseg.run")
    shown: dict[str, Any] = {}

    @contextmanager
    def bar(*_columns: object) -> Any:
        yield SimpleNamespace(
            add_task=lambda name, **first: shown.update(description=name, **first) or 0,
            update=lambda _task, **changes: shown.update(changes),
        )

    monkeypatch.setattr(progress, "_is_live", lambda: True)
    monkeypatch.setattr(progress, "_bar", bar)
    with progress.case_progress(3) as live:
        live.start("a")
        live.announce(WindowsDone("a", 3, 8))
        assert shown["description"] == "a 3/8 windows"
        assert (shown["completed"], shown["left"]) == (0.375, "–")
        clock.time += 8
        live.end(ended("a"))
        live.start("b")
        live.announce(WindowsDone("b", 2, 8))
        assert (shown["completed"], shown["left"]) == (1.25, "0:00:14")
        live.end(ended("b", "withheld"))
        assert shown["failed"] == 1
    first, _ = (record.getMessage() for record in caplog.records)
    assert first == "[1/3] a: done in 8.0 s, about 0:00:16 left"
