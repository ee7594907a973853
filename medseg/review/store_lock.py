"""Tells whether any other process works on a store, so that only the first one tidies up after a killed one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

LOCK_FILE = ".lock"


class StoreLock:
    """A shared lock, held while a store is open; the system lets go of it however the process ends.

    `tidy` is called, and is given whether nobody else holds the lock. On systems without POSIX locks, and file systems
    that refuse them, nothing is tidied.
    """

    def __init__(self, folder: Path, tidy: Callable[[bool], None]) -> None:
        self._stream: IO[str] | None = None
        try:
            import fcntl
        except ImportError:
            return
        stream = (folder / LOCK_FILE).open("w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tidy(False)
        except OSError:
            pass
        else:
            tidy(True)
        try:
            fcntl.flock(stream, fcntl.LOCK_SH)
        except OSError:
            stream.close()
        else:
            self._stream = stream

    def release(self) -> None:
        """Let go of the lock."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
