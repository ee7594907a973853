"""Turns a request to stop into an exception, so that a run ends between two writes and says so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from medseg.errors import Interrupted

__all__ = ["stoppable"]


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
