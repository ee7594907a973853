"""A request to stop is neither raised in the midst of an import nor lost where Python drops exceptions."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import Interrupted
from medseg.signals import stoppable

SLOW = "asks_for_a_stop_while_imported"
steps: list[str] = []


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the middle of whose import a stop is asked for."""
    (tmp_path / f"{SLOW}.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nsteps = [i for i in range(1000)]\nIS_WHOLE = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield SLOW
    sys.modules.pop(SLOW, None)


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.01)


class AsksWhenDeleted:
    def __del__(self) -> None:
        ask()


def import_it() -> None:
    importlib.import_module(SLOW)
    steps.append("the next line")


def import_it_within_another() -> None:
    import_it()


def delete_it() -> None:
    thing = AsksWhenDeleted()
    del thing
    steps.append("the next line")


def swallow_it() -> None:
    try:
        ask()
    except BaseException:  # as some libraries do
        steps.append("swallowed")


@pytest.mark.parametrize("work", [import_it, import_it_within_another])
def test_right_after_the_import(work: Callable[[], None], module: str) -> None:
    steps.clear()
    with pytest.raises(Interrupted, match="SIGTERM"), stoppable():
        work()
    assert sys.modules[module].IS_WHOLE
    assert steps == []


def test_not_in_the_midst_of_an_import_however_deep(module, tmp_path):
    (tmp_path / "outermost_of_two.py").write_text(f"import {module}\nIS_WHOLE = True\n")
    try:
        with pytest.raises(Interrupted), stoppable():
            importlib.import_module("outermost_of_two")
        assert sys.modules["outermost_of_two"].IS_WHOLE
    finally:
        sys.modules.pop("outermost_of_two", None)


def test_again_where_python_drops_it(capsys):
    steps.clear()
    with pytest.raises(Interrupted, match="SIGTERM"), stoppable():
        delete_it()
    assert steps == []
    assert capsys.readouterr().err == ""


def test_at_the_end_where_a_library_swallows_it():
    steps.clear()
    with pytest.raises(Interrupted, match="SIGTERM"), stoppable(), stoppable():
        swallow_it()
    assert steps == ["swallowed"]
    with pytest.raises(Interrupted, match="SIGTERM") as raised, stoppable():
        swallow_it()
        raise ValueError("of the work")
    assert isinstance(raised.value.__cause__, ValueError)


def test_what_was_answered_is_over():
    with pytest.raises(Interrupted), stoppable():
        ask()
    with stoppable():
        pass
    with stoppable():
        with pytest.raises(Interrupted), stoppable():
            ask()
        steps.append("tidied")  # as a verb does that keeps what is done


def test_everything_is_as_before(module):
    tracing, hook, handler = sys.gettrace(), sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), stoppable():
        import_it()
    assert (sys.gettrace(), sys.unraisablehook, signal.getsignal(signal.SIGTERM)) == (tracing, hook, handler)


def test_other_dropped_errors_are_shown_as_ever(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)

    class Bad:
        def __del__(self) -> None:
            raise ValueError

    with stoppable():
        Bad()
    assert [drop.exc_type for drop in shown] == [ValueError]


WINDOWS = """
import enum, importlib, pkgutil, signal, sys
kept = {name: getattr(signal, name).value for name in ("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM")}
for name in set(signal.Signals.__members__) - set(kept):
    delattr(signal, name)
signal.Signals = enum.IntEnum("Signals", kept)
sys.modules["fcntl"] = None
import medseg.cli
for module in pkgutil.iter_modules(medseg.cli.__path__, "medseg.cli."):
    importlib.import_module(module.name)
import medseg.isolation.child, medseg.isolation.process
from medseg.cli.app import run
sys.exit(run(["inspect", sys.argv[1]]))
"""


@pytest.mark.starts_workers
def test_the_command_line_starts_with_the_signals_that_windows_has(tmp_path):
    nib.save(nib.Nifti1Image(np.arange(1000, dtype=np.int16).reshape(10, 10, 10), np.eye(4)), tmp_path / "scan.nii.gz")
    command = [sys.executable, "-c", WINDOWS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 volume valid" in " ".join(done.stdout.split())
