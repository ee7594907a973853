"""The log of a run in its output folder: `medseg.log`, every step, whatever the terminal shows."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medseg.errors import UsageError
from medseg.harmless import one_line
from medseg.versions import versions

LOG_NAME = "medseg.log"
_log = logging.getLogger("medseg")


class _LogFile(logging.FileHandler):
    """Appends to the file; `console` is the level below which nothing is shown elsewhere."""

    def __init__(self, path: Path, console: int) -> None:
        super().__init__(path, encoding="utf-8")
        self.console = console
        self.setFormatter(_WithoutMessages("%(asctime)s %(process)d %(levelname)-7s %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        """Let lines go that a full disk does not take: what the verb itself cannot write is said by it."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file; what is left to write to a full disk is let go."""
        with contextlib.suppress(OSError):
            super().close()


class _WithoutMessages(logging.Formatter):
    """Writes where an exception came from, not its text, which may name a folder and with it a patient."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is logging's)
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 (the name is logging's)
        chain, error = list[str](), ei[1]
        while error is not None:
            chain.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)
            error = error.__cause__ or error.__context__
        return "\n".join(reversed(chain))


@contextmanager
def log_file(folder: Path, *, only: str | None = None) -> Iterator[None]:
    """Append what medseg logs to ``medseg.log`` in a folder while inside; the terminal shows what it showed before.

    Every step is written, and nothing of a patient: loggers name cases by case id. Contexts may be nested; the same
    folder twice is one file. `only` is the one logger whose messages are written, where others name files.
    """
    path = (folder / LOG_NAME).resolve()
    if any(Path(h.baseFilename) == path for h in _log.handlers if isinstance(h, _LogFile)):
        yield
        return
    shown, before = console_level(), _log.level
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _LogFile(path, shown)
    except OSError as error:
        raise UsageError(
            f"the output folder cannot be written ({error.strerror})", where=folder, fix="Choose another --out."
        ) from error
    if only is not None:
        file.addFilter(lambda record: record.name == only)
    consoles = [h for h in (*_log.handlers, *logging.getLogger().handlers) if not isinstance(h, _LogFile)]

    def as_before(record: logging.LogRecord) -> bool:
        # A logger with a level of its own decides for itself, as it did before.
        raised = logging.getLogger(record.name).getEffectiveLevel() <= logging.DEBUG
        return record.levelno >= shown or not raised or not record.name.startswith("medseg")

    for handler in consoles:
        handler.addFilter(as_before)
    _log.addHandler(file)
    _log.setLevel(logging.DEBUG)
    try:
        logging.getLogger(only or "medseg").debug("medseg %s", versions()["medseg"])
        yield
    finally:
        _log.setLevel(before)
        _log.removeHandler(file)
        for handler in consoles:
            handler.removeFilter(as_before)
        file.close()


def console_level() -> int:
    """Level at which medseg's log is shown on the terminal."""
    return next((h.console for h in _log.handlers if isinstance(h, _LogFile)), _log.getEffectiveLevel())
