"""Turns a request to stop into an exception between two writes, or collects it, so that no step is cut in two."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from medseg.errors import Interrupted

# Signals that ask for an end, of a training with a checkpoint: what batch schedulers, terminals and Slurm send, and a
# terminal that is closed.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
# After a first request to stop, files half-written are being deleted; another one within this time must not end that.
SECONDS_TO_TIDY = 5.0
_depth = 0  # of `stoppable` in the main thread
_stopped_at: float | None = None


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Interrupted` in the main thread on a stop signal while inside; do nothing in other threads."""

    def stop(name: str) -> None:
        global _stopped_at
        now = time.monotonic()
        if _stopped_at is not None and now - _stopped_at < SECONDS_TO_TIDY:
            return
        _stopped_at = now
        raise Interrupted(name)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _depth, _stopped_at
    if not _depth:
        _stopped_at = None
    _depth += 1
    try:
        with _handling(stop):
            yield
    finally:
        _depth -= 1


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """Collect the names of stop signals while inside; outside the main thread there are none."""
    requests: list[str] = []
    with _handling(requests.append):
        yield requests


def ignore_stops() -> None:
    """Hear no stop signal from now on; for the end of the process."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _handling(handle: Callable[[str], None]) -> Iterator[None]:
    """Call `handle` with the name of each stop signal while inside; only the main thread receives any.

    A signal that whoever started the process told it to ignore, as `nohup` does, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def receive(number: int, _frame: FrameType | None) -> None:
        handle(signal.Signals(number).name)

    heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, receive) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
