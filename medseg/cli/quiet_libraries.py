"""Keeps off the terminal what libraries print of their own: warnings that quote a header, tracebacks of threads."""

from __future__ import annotations

import logging
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from medseg.isolation.boundary import reported

log = logging.getLogger("medseg.libraries")
PACKAGE = Path(__file__).parents[1]


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Note warnings and the ends of other threads in the log, without their text; with ``--debug`` they are printed.

    A thread that ended in a function of medseg is an error that is shown.
    """
    before = warnings.showwarning, threading.excepthook

    def note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if _is_debug():
            before[0](message, category, filename, lineno, file, line)
        else:
            log.debug("%s in line %d of %s", category.__name__, lineno, Path(filename).name)

    def ended(thread: threading.ExceptHookArgs) -> None:
        error = thread.exc_value
        if error is None or _is_debug():
            before[1](thread)
        elif _is_ours(error):
            log.error("Part of the work ended early (%s, %s).", type(error).__name__, reported(error))
        else:
            log.debug("a thread of a library ended (%s)", type(error).__name__)

    warnings.showwarning, threading.excepthook = note, ended
    try:
        yield
    finally:
        warnings.showwarning, threading.excepthook = before


def _is_ours(error: BaseException) -> bool:
    return any(PACKAGE in Path(frame.filename).parents for frame in traceback.extract_tb(error.__traceback__))


def _is_debug() -> bool:
    from medseg.cli.verb import state

    return state.debug
