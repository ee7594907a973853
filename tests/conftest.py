"""What holds for every test: the CPU seconds one may use, and one line for real data that is not there."""

from __future__ import annotations

import gc
import random
import resource
import signal
import socketserver
import subprocess
import time
from collections.abc import Generator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import numpy as np
import pydicom.uid
import pytest
import typer
from run_here import log_restored
from shared_data import missing

BUDGET = 20.0  # CPU seconds of a test that is not marked slow, its fixtures and child processes included
REFERENCE = 0.15  # CPU seconds `_yardstick` takes on the machine the budget is meant for
UNLIMITED = ("slow", "peers")
FIRST = ("acceptance", "examples", "training", "evaluation", "tracking", "review", "engine", "infer", "data")

# A shell that starts the tests in the background has these ignored, and so would every process that a test sends them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# How often a server looks whether it should end: half a second for each that a test starts is a minute in all.
socketserver.BaseServer.serve_forever.__defaults__ = (0.05,)
# Building the command line takes longer than most of what small verbs do, and it stays the same.
typer.main.get_command = cache(typer.main.get_command)
# Time by the clock says how busy the machine is, and another draw each day what is new today: neither says whether a
# change is right. `make test-slow` draws anew.
hypothesis.settings.register_profile("anew", deadline=None)
hypothesis.settings.register_profile("medseg", deadline=None, derandomize=True)
hypothesis.settings.load_profile("medseg")
_started = pytest.StashKey[float]()


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of six cases to train on."""
    from tiny_dataset import write_msd

    return write_msd(tmp_path_factory.mktemp("balls") / "dataset")


@pytest.fixture(scope="session")
def browser() -> Generator[Any]:
    """Return a Chromium; skips where there is none."""
    from review.browser.served import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture
def raylets() -> Generator[Any]:
    """Return a Ray cluster of three machines, all on this one."""
    from ray_cluster import three_raylets

    with three_raylets() as cluster:
        yield cluster


@pytest.fixture(autouse=True, scope="session")
def _forker(request: pytest.FixtureRequest) -> Generator[Any]:
    """Fork workers and commands rather than start them, unless lines are counted: only those that are started do."""
    from forked_workers import Forker

    from medseg.isolation import process

    forker = Forker()
    with pytest.MonkeyPatch.context() as patch:
        if not request.config.pluginmanager.hasplugin("_cov"):
            patch.setattr(process, "start_module", forker.start_module)
            patch.setattr(subprocess.Popen, "_execute_child", lambda popen, *how: forker.execute_child(popen, *how))
        yield forker


@pytest.fixture(autouse=True)
def _workers(request: pytest.FixtureRequest, _forker: Any) -> None:
    on_cluster = "raylets" in request.fixturenames  # where Ray starts and ends processes in its own way
    _forker.is_on = request.node.get_closest_marker("starts_workers") is None and not on_cluster


@pytest.fixture(autouse=True)
def _same_uids(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test have the same UIDs each time: how long a file is, and in what order, depends on them."""
    drawn = random.Random(request.node.nodeid)
    monkeypatch.setattr(pydicom.uid, "secrets", SimpleNamespace(randbelow=drawn.randrange))


@pytest.fixture(autouse=True)
def _own_log() -> Generator[None]:
    with log_restored():
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist take files in the order of `pytest_collection_modifyitems`, not those with the most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let nobody look for garbage among all that is imported, neither now nor while the tests run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(7_000)  # ten times the usual: most tests leave little
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put folders of long tests first, so that no process has a long file to do when the others have ended."""
    items.sort(key=lambda item: FIRST.index(place) if (place := _folder(item)) in FIRST else len(FIRST))


def _folder(item: pytest.Item) -> str:
    """Return the folder of a test below that of all tests."""
    folder = Path(__file__).parent
    return item.path.relative_to(folder).parts[0] if folder in item.path.parents else ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs_data"):
        if reason := missing(*mark.args):
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    item.stash[_started] = _cpu_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.when != "call":
        return (yield)
    used = _cpu_seconds() - item.stash[_started]
    item.user_properties.append(("cpu_seconds", round(used, 2)))
    report = yield
    limited = not any(item.get_closest_marker(name) for name in UNLIMITED)
    limited = limited and not item.config.pluginmanager.hasplugin("_cov")  # counting lines takes its own time
    if report.passed and limited and used > BUDGET and used > BUDGET * _slowness():
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} took {used:.1f} CPU seconds; a test may take {BUDGET:g}, here "
            f"{BUDGET * _slowness():.0f}, as this machine is {_slowness():.1f} times slower than the one meant. "
            "Make it smaller, or mark it slow."
        )
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    used = {
        report.nodeid: seconds
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, seconds in getattr(report, "user_properties", ())
        if name == "cpu_seconds"
    }
    longest = sorted(used, key=lambda node: used[node])[-3:]
    if used:
        told = ", ".join(f"{used[node]:.1f} {node}" for node in reversed(longest))
        terminalreporter.write_line(f"CPU seconds: {sum(used.values()):.0f} in all; most: {told}")


def _cpu_seconds() -> float:
    """Of this process, all its threads, and its children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


@cache
def _slowness() -> float:
    """How much longer than on the machine meant a fixed computation takes here, 1 or more; measured only when asked."""
    return max(1.0, min(_yardstick() for _ in range(3)) / REFERENCE)


def _yardstick() -> float:
    """CPU seconds of a little of what tests do: plain Python, and arithmetic on arrays too big for a cache."""
    start = time.thread_time()
    total = 0
    for number in range(1_000_000):
        total += number % 7
    array = np.arange(4_000_000, dtype=np.float32)
    for _ in range(5):
        array = np.sqrt(array * array + 1)
    assert total > array.min()
    return time.thread_time() - start
