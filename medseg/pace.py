"""How long the cases of a run that are left will take, from those that ran the network."""

from __future__ import annotations

import time

from medseg.types.run import CaseOutcome


class Pace:
    """Counts cases down, and the time between them.

    Cases that were done before, failed, were withheld, or whose windows were all skipped or reused are over in no time
    and say nothing about the others.
    """

    def __init__(self, total: int) -> None:
        self.total = self.left = total
        self._last = time.monotonic()
        self._seconds: list[float] = []

    @property
    def done(self) -> int:
        """Cases that have ended."""
        return self.total - self.left

    def add(self, outcome: CaseOutcome) -> None:
        """Take in how a case ended, at the moment it does."""
        now = time.monotonic()
        if _ran_the_network(outcome):
            # Cases overlap, so that what one took may be more than what it adds to the run.
            self._seconds.append(min(outcome.seconds, now - self._last))
        self._last = now
        self.left -= 1

    def remaining(self, fraction: float = 0.0) -> float | None:
        """Seconds that the cases left will take, of one of which a fraction is done; None where nothing is known."""
        if not self._seconds:
            return None
        return sum(self._seconds) / len(self._seconds) * max(self.left - fraction, 0.0)


def _ran_the_network(outcome: CaseOutcome) -> bool:
    if outcome.state != "done":
        return False
    return outcome.computed is None or outcome.computed.windows.total == 0 or outcome.computed.windows.computed > 0


def as_clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
