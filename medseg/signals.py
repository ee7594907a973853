"""Turns a request to stop into an exception between two writes, or collects it, so that no step is cut in two."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from medseg.errors import Interrupted


def known_signals(*names: str) -> tuple[signal.Signals, ...]:
    """Return the signals of these names that this system has; Windows lacks most."""
    return tuple(signal.Signals[name] for name in names if name in signal.Signals.__members__)


# Signals that ask for an end, of a training with a checkpoint: what batch schedulers, terminals and Slurm send, and a
# terminal that is closed.
STOP_SIGNALS = known_signals("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP")
# After a first request to stop, files half-written are being deleted; another one within this time must not end that.
SECONDS_TO_TIDY = 5.0
_depth = 0  # of `stoppable` in the main thread
_stopped_at: float | None = None
_unanswered: str | None = None  # the signal asked for, until its exception has left a `stoppable`


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Interrupted` in the main thread on a stop signal while inside; do nothing in other threads.

    While a module is imported it is raised right after that, for C++ code in the midst of it may end the process where
    an exception comes out of Python code that it calls. Where Python itself drops the exception, as it does in a
    ``__del__``, it is raised again, at the latest at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _depth, _stopped_at, _unanswered
    if not _depth:
        _stopped_at = _unanswered = None
    _depth += 1
    try:
        with _handling(_stop), _hearing_what_is_dropped():
            yield
    except Interrupted:
        _unanswered = None
        raise
    except Exception as error:
        if _unanswered is not None:
            raise Interrupted(_answer()) from error
        raise
    else:
        if _unanswered is not None:
            raise Interrupted(_answer())
    finally:
        _depth -= 1


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """Collect the names of stop signals while inside; outside the main thread there are none."""
    requests: list[str] = []
    with _handling(lambda name, _frame: requests.append(name)):
        yield requests


def ignore_stops() -> None:
    """Hear no stop signal from now on; for the end of the process."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(name: str, frame: FrameType | None) -> None:
    global _stopped_at, _unanswered
    now = time.monotonic()
    if _stopped_at is not None and now - _stopped_at < SECONDS_TO_TIDY:
        return
    is_first, _stopped_at, _unanswered = _stopped_at is None, now, name
    importer = _importer(frame)
    if is_first and importer is not None:
        _raise_in(importer, name)
    else:
        raise Interrupted(name)


def _answer() -> str:
    global _unanswered
    name, _unanswered = _unanswered or "a signal", None
    return name


def _importer(frame: FrameType | None) -> FrameType | None:
    """Return what asked for the outermost of the imports that are going on, if any is."""
    found = None
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            found = frame.f_back
        frame = frame.f_back
    return found


def _raise_in(frame: FrameType, name: str) -> None:
    """Raise `Interrupted` in a frame at its next step, where a debugger would halt it."""

    def stop(_frame: FrameType, _event: str, _argument: object) -> None:
        sys.settrace(before)
        raise Interrupted(name)

    before = sys.gettrace()
    frame.f_trace_opcodes = True
    frame.f_trace = stop
    sys.settrace(lambda *_: None)  # in the frames to come nothing is traced


@contextmanager
def _hearing_what_is_dropped() -> Iterator[None]:
    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        frame = sys._getframe().f_back
        if isinstance(unraisable.exc_value, Interrupted) and frame is not None:
            _raise_in(_importer(frame) or frame, unraisable.exc_value.signal_name)
        else:
            before(unraisable)

    before, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def _handling(handle: Callable[[str, FrameType | None], None]) -> Iterator[None]:
    """Call `handle` with the name of each stop signal, and with what it came upon, while inside.

    Only the main thread receives any. A signal that whoever started the process told it to ignore, as `nohup` does,
    stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def receive(number: int, frame: FrameType | None) -> None:
        handle(signal.Signals(number).name, frame)

    heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
