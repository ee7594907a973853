"""Keeps two runs from writing the same output folder at once, as far as its file system has locks."""

from __future__ import annotations

import errno
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from medseg.errors import UsageError

log = logging.getLogger("medseg.run")
LOOK_EVERY = 0.2  # seconds between two tries of a lock that is waited for
WHOLE, OF_SHARDS = "1-of-1", re.compile(r"\d+-of-\d+|report")
# What file systems without locks say; some of networks say it only where their server has none.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}


@contextmanager
def exclusive(folder: Path, part: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock on one part of an output folder while inside; `wait` is how many seconds another run may take to end.

    The system lets go of it when the process ends, however it ends, so a killed run never blocks the next. On systems
    without POSIX locks, and file systems that refuse them, nothing is locked: what is written stays whole there too,
    because it appears by renaming alone, but work may be done twice.

    `part` names the shard: runs of different shards may share a folder, and none does with an unsharded run.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / f".medseg-{WHOLE}.lock").open("a") as whole, (folder / f".medseg-{part}.lock").open("a") as stream:
        kinds = [(whole, fcntl.LOCK_SH)] if OF_SHARDS.fullmatch(part) and part != WHOLE else []
        kinds.append((stream, fcntl.LOCK_EX))
        until, is_said = time.monotonic() + wait, False
        for one, kind in kinds:
            try:
                while not _locked(one, kind | fcntl.LOCK_NB):
                    if time.monotonic() >= until:
                        what, fix = "another medseg run is writing there", "Wait for it, or choose another --out."
                        raise UsageError(what, where=folder, fix=fix)
                    if not is_said:
                        log.info(
                            "Another medseg run is writing into %s: waiting up to %g s for its end.", folder.name, wait
                        )
                        is_said = True
                    time.sleep(LOOK_EVERY)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                log.warning("%s has no locks (%s): start no second run into it", folder, error.strerror)
        yield


def _locked(stream: TextIO, kind: int) -> bool:
    import fcntl

    try:
        fcntl.flock(stream, kind)
    except BlockingIOError:
        return False
    return True
