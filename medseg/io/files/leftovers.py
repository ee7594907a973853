"""Whether the process that was writing a temporary file or folder still lives, so that the next run deletes the rest.

Whoever writes one holds a lock on it, which the system lets go of when the process ends, however it ends, on whatever
machine or in whatever container it runs. On systems without POSIX locks nothing is held and nothing deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".medseg-part-"
OLD = re.compile(re.escape(PREFIX) + r"old-[0-9a-f]{8}-(?P<final>.+)")
# A file so young may belong to a process that has made it and not yet locked it.
YOUNG_SECONDS = 1.0
_swept: set[tuple[int, Path]] = set()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a temporary file or folder as one that is being written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def is_abandoned(path: Path) -> bool:
    """Whether no process holds a temporary file or folder; False where that cannot be known."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether a lock could be had, which it cannot on systems and file systems without locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def sweep(folder: Path, *, older_than: float = 0.0) -> None:
    """Delete what a killed process left half-written in a folder; a folder it was about to replace is put back."""
    now = time.time()
    for part in folder.glob(f"{PREFIX}*"):
        try:
            is_young = now - part.stat().st_mtime < older_than
        except OSError:
            continue
        if is_young or not is_abandoned(part):
            continue
        old = OLD.fullmatch(part.name)
        if old is not None and not (folder / old["final"]).exists():
            with contextlib.suppress(OSError):
                part.rename(folder / old["final"])
        elif part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def sweep_once(folder: Path) -> None:
    """Sweep a folder the first time this process writes there."""
    mark = (os.getpid(), folder.absolute())
    if mark not in _swept:
        _swept.add(mark)
        sweep(folder, older_than=YOUNG_SECONDS)
