"""Keeps two runs from writing the same output folder at once, as far as its file system has locks."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import UsageError

log = logging.getLogger("medseg.run")
WHOLE, OF_SHARDS = "1-of-1", re.compile(r"\d+-of-\d+|report")
# What file systems without locks say; some of networks say it only where their server has none.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}


@contextmanager
def exclusive(folder: Path, part: str) -> Iterator[None]:
    """Hold a lock on one part of an output folder while inside.

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
        for one, kind in kinds:
            try:
                fcntl.flock(one, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    "another medseg run is writing there", where=folder, fix="Wait for it, or choose another --out."
                ) from None
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                log.warning("%s has no locks (%s): start no second run into it", folder, error.strerror)
        yield
