"""Keeps the tables and the report of a run up to date while it runs, and when a signal ends it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from medseg.errors import MedsegError

log = logging.getLogger("medseg.run")

# Seconds between two refreshes at the least, and how many times as long as one took.
EVERY, TIMES = 10.0, 20.0


class Refresh:
    """Calls `write` now and then, so seldom that it costs next to nothing."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write
        self._last, self._took = time.monotonic(), 0.0

    def when_due(self) -> None:
        """Write if the last time is long enough ago."""
        if time.monotonic() - self._last >= max(EVERY, TIMES * self._took):
            self.now()

    def now(self) -> None:
        """Write; what fails is said and costs no case, because it is written again at the end."""
        began = time.monotonic()
        try:
            self._write()
        except (OSError, MedsegError) as error:
            log.warning("The report of the cases so far could not be written: %s", error)
        self._last = time.monotonic()
        self._took = self._last - began
