"""Progress of a run on stderr: a live bar on a terminal, one line a case elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from medseg.log_file import console_level
from medseg.types.run import CaseOutcome, Preparing

log = logging.getLogger("medseg.run")


class Progress(Protocol):
    """What the runner reports to whoever shows progress."""

    def start(self, case_id: str) -> None:
        """Show which case is in hand."""

    def prepare(self, preparing: Preparing) -> None:
        """Show what is done once, before the first case."""

    def end(self, outcome: CaseOutcome) -> None:
        """Show how a case ended."""


class _Lines:
    """One log line for each case that ends."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def start(self, case_id: str) -> None:
        log.debug("%s: started", case_id)

    def prepare(self, preparing: Preparing) -> None:
        log.info("%s", preparing.text)

    def end(self, outcome: CaseOutcome) -> None:
        self.done += 1
        _log_end(outcome, f"[{self.done}/{self.total}] ")


def _log_end(outcome: CaseOutcome, prefix: str = "") -> None:
    name = outcome.case_id or outcome.source
    if outcome.error is not None:
        name = f"{outcome.case_id} ({outcome.source})" if outcome.case_id else name
        fix = f" {outcome.fix}" if outcome.fix else ""
        log.error("%s%s: %s: %s.%s", prefix, name, outcome.state.upper(), outcome.error.rstrip("."), fix)
    elif outcome.state == "current":
        log.info("%s%s: up to date", prefix, name)
    else:
        log.info("%s%s: done in %.1f s", prefix, name, outcome.seconds)
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

    with _bar(MofNCompleteColumn(), "failed {task.fields[failed]}") as bar:
        task = bar.add_task("starting", total=total, failed=0)

        class _Live:
            failed = 0

            def start(self, case_id: str) -> None:
                bar.update(task, description=case_id)

            def prepare(self, preparing: Preparing) -> None:
                bar.update(task, description=preparing.text)
                log.info("%s", preparing.text)

            def end(self, outcome: CaseOutcome) -> None:
                self.failed += outcome.state == "failed"
                bar.update(task, advance=1, failed=self.failed)
                if outcome.error is not None or (outcome.state == "done" and outcome.warnings):
                    _log_end(outcome)
                else:
                    log.debug("%s: %s", outcome.case_id, outcome.state)

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

        # Lines of the log go above the bar, not through it.
        handlers = [h for h in logging.getLogger("medseg").handlers if type(h) is logging.StreamHandler]
        before = [handler.setStream(sys.stderr) for handler in handlers]
        try:
            yield advance
        finally:
            for handler, stream in zip(handlers, before, strict=True):
                handler.setStream(stream or sys.__stderr__)


def _is_live() -> bool:
    return sys.stderr.isatty() and console_level() <= logging.INFO


def _bar(count: Any, figure: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), count, TextColumn(figure), TimeElapsedColumn())
    return Progress(*columns, TextColumn("remaining"), TimeRemainingColumn(), console=Console(stderr=True))
