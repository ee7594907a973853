"""Turns a request to stop into an exception between two writes, or collects it, so that no step is cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from medseg.errors import Interrupted

# Signals that ask for an end, of a training with a checkpoint: what batch schedulers, terminals and Slurm send.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Interrupted` in the main thread on a stop signal while inside; do nothing in other threads."""

    def stop(name: str) -> None:
        raise Interrupted(name)

    with _handling(stop):
        yield


@contextmanager
def stop_requests() -> Iterator[list[str]]:
    """Collect the names of stop signals while inside; outside the main thread there are none."""
    requests: list[str] = []
    with _handling(requests.append):
        yield requests


@contextmanager
def _handling(handle: Callable[[str], None]) -> Iterator[None]:
    """Call `handle` with the name of each stop signal while inside; only the main thread receives any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def receive(number: int, _frame: FrameType | None) -> None:
        handle(signal.Signals(number).name)

    before = {number: signal.signal(number, receive) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
