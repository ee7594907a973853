"""Progress of a run on stderr: one line for each case that ends, below them on a terminal a live bar."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from medseg.counted import counted
from medseg.errors import with_code
from medseg.harmless import trusted
from medseg.log_file import console_level
from medseg.pace import Pace, as_clock
from medseg.types.run import CaseOutcome, Preparing, WindowsDone

log = logging.getLogger("medseg.run")


# Seconds between two lines about the windows of one case, where there is no bar.
WINDOWS_EVERY = 60.0


class Progress(Protocol):
    """What the runner reports to whoever shows progress."""

    def start(self, case_id: str) -> None:
        """Show which case is in hand."""

    def announce(self, what: Preparing | WindowsDone) -> None:
        """Show what is done once, before the first case, or how far the network has come in a case."""

    def end(self, outcome: CaseOutcome) -> None:
        """Show how a case ended."""


class _Lines:
    """One log line for each case that ends, and for a long one now and then its windows."""

    def __init__(self, total: int) -> None:
        self.pace = Pace(total)
        self._fixes: set[str] = set()
        self._said = time.monotonic()

    def start(self, case_id: str) -> None:
        log.debug("%s: started", case_id)
        self._said = time.monotonic()

    def announce(self, what: Preparing | WindowsDone) -> None:
        if isinstance(what, Preparing):
            log.info("%s", what.text)
        elif time.monotonic() - self._said >= WINDOWS_EVERY:
            self._said = time.monotonic()
            log.info("%s: %d of %s done", what.case_id, what.done, counted(what.total, "window"))

    def end(self, outcome: CaseOutcome) -> None:
        self.pace.add(outcome)
        _log_end(outcome, self.pace, self._fixes)


def _log_end(outcome: CaseOutcome, pace: Pace, fixes: set[str]) -> None:
    """Log how a case ended; of several withheld for which the same is to be done, the first alone says what.

    - `fixes`: what was said to do so far, to which this case's is added.
    """
    prefix = f"[{pace.done}/{pace.total}] "
    name = outcome.case_id or outcome.source
    if outcome.error is not None:
        name = f"{outcome.case_id} ({outcome.source})" if outcome.case_id else name
        again = outcome.state == "withheld" and outcome.fix in fixes
        fix = " What to do is as above." if again else f" {outcome.fix}" if outcome.fix else ""
        fixes.add(outcome.fix or "")
        line = f"{prefix}{name}: {outcome.state.upper()}: {outcome.error.rstrip('.')}.{fix}"
        log.error("%s", with_code(line, outcome.code))
    elif outcome.state == "current":
        log.info("%s%s: up to date", prefix, name)
    else:
        left = pace.remaining() if pace.left else None
        log.info(
            "%s%s: done in %.1f s%s",
            prefix,
            name,
            outcome.seconds,
            "" if left is None else f", about {as_clock(left)} left",
        )
    indent = " " * len(prefix)
    if outcome.state == "done":
        for text in outcome.warnings:
            log.warning("%s%s: warning: %s", indent, name, text)
        for text in outcome.notes:
            log.info("%s%s: note: %s", indent, name, text)


@contextmanager
def case_progress(total: int) -> Iterator[Progress]:
    """Show progress over a number of cases while inside."""
    if not _is_live():
        yield _Lines(total)
        return
    from rich.progress import MofNCompleteColumn

    with _bar(MofNCompleteColumn(), "failed {task.fields[failed]}", "{task.fields[left]}") as bar:
        task = bar.add_task("starting", total=total, failed=0, left="–")
        pace = Pace(total)
        fixes: set[str] = set()

        def show(fraction: float, **changes: Any) -> None:
            left = pace.remaining(fraction)
            bar.update(task, completed=pace.done + fraction, left="–" if left is None else as_clock(left), **changes)

        class _Live:
            failed = 0

            def start(self, case_id: str) -> None:
                bar.update(task, description=case_id)

            def announce(self, what: Preparing | WindowsDone) -> None:
                if isinstance(what, Preparing):
                    bar.update(task, description=what.text)
                    log.info("%s", what.text)
                else:
                    name = f"{what.case_id} {what.done}/{what.total} windows"
                    show(what.done / max(what.total, 1), description=name)

            def end(self, outcome: CaseOutcome) -> None:
                self.failed += outcome.state in ("failed", "withheld")
                pace.add(outcome)
                show(0.0, failed=self.failed)
                _log_end(outcome, pace, fixes)

        yield _Live()
        bar.update(task, description="finished")


Advance = Callable[[float, float], None]


@contextmanager
def step_bar(name: str) -> Iterator[Advance]:
    """Show a bar on a terminal while inside; elsewhere the log's line an epoch has to do.

    What it gives takes the fraction of the run that is done, 0 to 1, and the loss.
    """
    if not _is_live():
        yield lambda _done, _loss: None
        return
    from rich.progress import TaskProgressColumn

    with _bar(TaskProgressColumn(), "loss {task.fields[loss]}") as bar:
        task = bar.add_task(name, total=1.0, loss="–")

        def advance(done: float, loss: float) -> None:
            bar.update(task, completed=min(done, 1.0), loss=f"{loss:.3f}")

        yield advance


@contextmanager
def count_bar(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many of so many are done while inside; what it gives takes how many more are."""
    if not _is_live():
        yield lambda _more: None
        return
    from rich.progress import MofNCompleteColumn

    with _bar(MofNCompleteColumn(), "") as bar:
        task = bar.add_task(name, total=total)
        yield lambda more: bar.advance(task, more)


def _is_live() -> bool:
    return sys.stderr.isatty() and console_level() <= logging.INFO


@contextmanager
def _bar(count: Any, figure: str, left: str | None = None) -> Iterator[Any]:
    """A bar with a count and a figure, and the time left by its own rate where `left` does not name it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    remaining = TimeRemainingColumn() if left is None else TextColumn(left)
    columns = (TextColumn("{task.description}"), BarColumn(), count, TextColumn(figure), TimeElapsedColumn())
    with Progress(*columns, TextColumn("remaining"), remaining, console=Console(file=trusted(sys.stderr))) as bar:
        # Lines of the log go above the bar, not through it.
        handlers = [h for h in logging.getLogger("medseg").handlers if type(h) is logging.StreamHandler]
        before = [handler.setStream(sys.stderr) for handler in handlers]
        try:
            yield bar
        finally:
            for handler, stream in zip(handlers, before, strict=True):
                handler.setStream(stream or sys.__stderr__)
