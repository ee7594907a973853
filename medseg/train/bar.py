"""A bar on the terminal that says how far a run is and how long it will take."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["step_bar"]

log = logging.getLogger("medseg.train")

Advance = Callable[[float, float], None]


@contextmanager
def step_bar(name: str) -> Iterator[Advance]:
    """Show a bar on a terminal while inside; elsewhere the log's line an epoch has to do.

    Yields
    ------
    callable
        Takes the share of the run done, 0 to 1, and the loss.
    """
    if not sys.stderr.isatty() or log.getEffectiveLevel() > logging.INFO:
        yield lambda _done, _loss: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=1.0, loss="–")

        def advance(done: float, loss: float) -> None:
            bar.update(task, completed=min(done, 1.0), loss=f"{loss:.3f}")

        # Lines of the log go above the bar, not through it.
        handlers = [h for h in logging.getLogger("medseg").handlers if isinstance(h, logging.StreamHandler)]
        before = [handler.setStream(sys.stderr) for handler in handlers]
        try:
            yield advance
        finally:
            for handler, stream in zip(handlers, before, strict=True):
                handler.setStream(stream or sys.__stderr__)
