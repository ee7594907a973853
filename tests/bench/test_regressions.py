"""What `make bench` says of figures beside those recorded."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import regressions

    yield regressions.complaints
    for name in ("regressions", "bench_large_ct", "markdown"):
        sys.modules.pop(name, None)


def test_what_is_as_recorded_is_not_complained_of(complaints: Callable[..., list[str]]) -> None:
    assert complaints({"work": (10.0, 100.0)}, {"work": [9.0, 95.0]}) == []


def test_slower_and_larger_work_is_named(complaints: Callable[..., list[str]]) -> None:
    said = complaints({"slow": (20.0, 100.0), "large": (10.0, 200.0)}, {"slow": [10.0, 100.0], "large": [10.0, 100.0]})
    assert said == ["large takes 200 MB; 100 MB are recorded.", "slow takes 2.00 times the CPU time recorded."]


def test_work_that_only_one_of_the_two_has_is_named(complaints: Callable[..., list[str]]) -> None:
    said = complaints({"new": (1.0, 1.0)}, {"old": [1.0, 1.0]})
    assert said == ["new is not recorded.", "old is recorded and was not measured."]


def test_the_recorded_figures_are_those_of_the_work_measured(complaints: Callable[..., list[str]]) -> None:
    import regressions

    kinds = set(regressions.commands(Path("data"), Path("out")))
    for recorded in json.loads((BENCHMARKS / "recorded.json").read_text()).values():
        assert set(recorded["work"]) == kinds
