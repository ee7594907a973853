"""Whether the process that was writing a temporary file or folder still lives, so that the next run deletes the rest.

Whoever writes one holds a lock on it, which the system lets go of when the process ends, however it ends. On a network
locks may be lies: everybody is given one. So its name also says which process of which machine made it: on this machine
that process must be gone, and what another machine made is left for a day. On systems without POSIX locks nothing is
held and nothing deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

PREFIX = ".medseg-part-"
MADE_BY = r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-"
OLD = re.compile(re.escape(PREFIX) + rf"old-({MADE_BY})?[0-9a-f]{{8}}-(?P<final>.+)")
OURS = re.compile(re.escape(PREFIX) + rf"(old-)?{MADE_BY}[0-9a-f]{{8}}-(?P<final>.+)")
DAY = 86400.0
# A file so young may belong to a process that has made it and not yet locked it.
YOUNG_SECONDS = 1.0
_swept: set[tuple[int, Path]] = set()


def part_name(final: str, *, is_old: bool = False) -> str:
    """Return a name for a temporary file or folder that says who made it; `is_old` for what is about to be replaced."""
    return f"{PREFIX}{'old-' if is_old else ''}{_machine()}-{os.getpid()}-{secrets.token_hex(4)}-{final}"


@cache
def _machine() -> str:
    """A hash of what a process's number is valid in: a machine since it was started, and in it a container."""
    marks = [socket.gethostname()]
    with contextlib.suppress(OSError):
        marks.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:8]


def _may_live(path: Path) -> bool:
    """Whether the process that made a file or folder may live, by its name; False where that does not say."""
    if OURS.fullmatch(path.name) is None:
        return False
    here = lives_here(path.name)
    if here is not None:
        return here
    try:
        return time.time() - path.stat().st_mtime < DAY
    except OSError:
        return True


def lives_here(name: str) -> bool | None:
    """Whether the process of this machine that made up a name lives; None where no process of this machine did."""
    made = OURS.fullmatch(name)
    if made is None or made["machine"] != _machine():
        return None
    try:
        os.kill(int(made["process"]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return not _is_over(int(made["process"]))


def _is_over(process: int) -> bool:
    """Whether a process has ended and only its parent, which may take its time, has not heard of it."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


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
        return _lock(descriptor) and not _may_live(path)
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


def sweep(folder: Path, *, older_than: float = 0.0, lost: Collection[str] = ()) -> None:
    """Delete what a killed process left half-written in a folder; a folder it was about to replace is put back.

    `lost` are names whose writers are known to be gone, on whatever machine they were.
    """
    now = time.time()
    for part in folder.glob(f"{PREFIX}*"):
        try:
            # Who made it is known of the others from the first moment on.
            is_young = OURS.fullmatch(part.name) is None and now - part.stat().st_mtime < older_than
        except OSError:
            continue
        if is_young or not (is_abandoned(part) or _was_lost(part, lost)):
            continue
        old = OLD.fullmatch(part.name)
        if old is not None and not (folder / old["final"]).exists():
            with contextlib.suppress(OSError):
                part.rename(folder / old["final"])
        elif part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _was_lost(path: Path, lost: Collection[str]) -> bool:
    """Whether a temporary file or folder is for one of the names `lost`, and no process of this machine writes it."""
    made = OURS.fullmatch(path.name)
    return made is not None and made["final"] in lost and not lives_here(path.name)


def sweep_once(folder: Path) -> None:
    """Sweep a folder the first time this process writes there."""
    mark = (os.getpid(), folder.absolute())
    if mark not in _swept:
        _swept.add(mark)
        sweep(folder, older_than=YOUNG_SECONDS)
