"""Stops a server that nobody uses any more, so that a key on a screen does not open it for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from medseg.review.server.security import Access

log = logging.getLogger("medseg.review")
LONGEST_NAP = 30.0


class Stoppable(Protocol):
    """A server that stops once it is told to."""

    should_exit: bool


@contextmanager
def stop_when_idle(server: Stoppable, access: Access, seconds: float) -> Iterator[None]:
    """Tell a server to stop when so long a time has passed since the last request of somebody at work."""
    done = threading.Event()

    def watch() -> None:
        while (left := access.last_request + seconds - time.monotonic()) > 0:
            if done.wait(min(left, LONGEST_NAP)):
                return
        log.info("stopped: nobody used the page for %.0f seconds", seconds)
        server.should_exit = True

    threading.Thread(target=watch, daemon=True, name="idle").start()
    try:
        yield
    finally:
        done.set()
