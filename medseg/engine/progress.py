"""Progress of a run on stderr: a live bar on a terminal, one line a case elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from medseg.types.run import CaseOutcome, Preparing

__all__ = ["Progress", "case_progress"]

log = logging.getLogger("medseg.run")


class Progress(Protocol):
    """What the runner tells whoever shows progress."""

    def start(self, case_id: str) -> None:
        """Say which case is in hand."""

    def prepare(self, preparing: Preparing) -> None:
        """Say what is done once, before the first case."""

    def end(self, outcome: CaseOutcome) -> None:
        """Say how a case ended."""


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
        say(outcome, f"[{self.done}/{self.total}] ")


def say(outcome: CaseOutcome, prefix: str = "") -> None:
    """Log how a case ended."""
    name = outcome.case_id or outcome.source
    if outcome.state == "failed" and outcome.case_id:
        name = f"{outcome.case_id} ({outcome.source})"
    if outcome.state == "failed":
        fix = f" {outcome.fix}" if outcome.fix else ""
        log.error("%s%s: FAILED: %s.%s", prefix, name, (outcome.error or "").rstrip("."), fix)
    elif outcome.state == "current":
        log.info("%s%s: up to date", prefix, name)
    else:
        log.info("%s%s: done in %.1f s", prefix, name, outcome.seconds)
    for note in outcome.notes if outcome.state == "done" else ():
        log.warning("%s%s: note: %s", " " * len(prefix), name, note)


@contextmanager
def case_progress(total: int) -> Iterator[Progress]:
    """Show progress over a number of cases while inside."""
    if not sys.stderr.isatty() or log.getEffectiveLevel() > logging.INFO:
        yield _Lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("failed {task.fields[failed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=False) as bar:
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
                if outcome.state == "failed" or (outcome.state == "done" and outcome.notes):
                    say(outcome)

        yield _Live()
        bar.update(task, description="finished")
