"""A lock that is the name of a file: for folders on a network, whose other locks may be missing or given to everybody.

Making a file that must not be there is one operation of the server, which only one of two can have. Who holds a lock
for long says so again and again by the file's time; a waiter that has seen no sign for long enough by its own clock
takes the lock of one that must be dead, so that no two clocks are ever compared. Who held it finds out, and keeps
nothing.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.io.files.leftovers import lives_here, part_name

log = logging.getLogger("medseg.run")
DEAD_AFTER = 20.0  # seconds without a sign of life
SIGN_EVERY = 5.0
LOOK_EVERY = 0.02


class NameLock:
    """A lock of one process; threads of it must take turns by themselves. It may be held again while it is held."""

    def __init__(self, path: Path, *, dead_after: float = DEAD_AFTER) -> None:
        self.path, self.dead_after = path, dead_after
        self._mine, self._depth = "", 0

    @contextmanager
    def held(self, wait: float) -> Iterator[None]:
        """Hold the lock; `TimeoutError` where another process has it for so many seconds."""
        if self._depth == 0:
            self._take(wait)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0 and self.is_mine():
                self.path.unlink(missing_ok=True)

    def is_mine(self) -> bool:
        """Whether it is still held: another process takes it from one that gave no sign of life."""
        return bool(self._mine) and _holder(self.path) == self._mine

    def is_held(self) -> bool | None:
        """Whether anybody holds it; None where that is another machine, of which nobody knows whether it lives."""
        if not self.path.exists():
            return False
        return lives_here(_holder(self.path))

    def _take(self, wait: float) -> None:
        self._mine = part_name("lock")
        end, latest, since = time.monotonic() + wait, ("", 0.0), time.monotonic()
        while not _make(self.path, self._mine):
            now, found = time.monotonic(), (_holder(self.path), _changed(self.path))
            if found != latest:
                latest, since = found, now
            if lives_here(found[0]) is False or now - since > self.dead_after:
                _take_away(self.path, found[0])
            elif now > end:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock", str(self.path))
            else:
                time.sleep(LOOK_EVERY)


@contextmanager
def signs_of_life(lock: NameLock, every: float = SIGN_EVERY) -> Iterator[threading.Thread]:
    """Show that who holds a lock lives; the thread given ends where the lock is lost."""
    ended = threading.Event()

    def show() -> None:
        while not ended.wait(every):
            if not lock.is_mine():
                log.error("%s was taken by another process", lock.path)
                return
            with contextlib.suppress(OSError):
                os.utime(lock.path)

    thread = threading.Thread(target=show, name="signs of life", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        ended.set()
        thread.join()


def _make(path: Path, holder: str) -> bool:
    """Make the file of a lock; False where there is one."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(holder)
        stream.flush()
        os.fsync(stream.fileno())
    return True


def _holder(path: Path) -> str:
    """Who holds a lock; empty where nobody does, or it is just being made."""
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _take_away(path: Path, holder: str) -> None:
    """Remove the lock of a holder that is dead, and nobody else's: one that came in between is put back."""
    aside = path.with_name(part_name(path.name))
    try:
        path.rename(aside)
    except OSError:  # somebody else did
        return
    if _holder(aside) != holder and not path.exists():
        with contextlib.suppress(OSError):
            aside.rename(path)
            return
    aside.unlink(missing_ok=True)
