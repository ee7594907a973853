"""Turns a request to stop into an exception between two writes, or collects it, so that no step is cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from medseg.errors import Interrupted

__all__ = ["STOP_SIGNALS", "stop_requests", "stoppable"]


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Interrupted` in the main thread on SIGTERM or SIGINT while inside; do nothing in other threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# Signals that ask for a checkpoint and an end: what batch schedulers, terminals and Slurm send.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """Collect the names of stop signals while inside; outside the main thread there are none."""
    asked: list[str] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)

    before = {number: signal.signal(number, ask) for number in STOP_SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
