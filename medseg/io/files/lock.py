"""Keeps two runs from writing the same output folder at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import UsageError


@contextmanager
def exclusive(folder: Path, part: str) -> Iterator[None]:
    """Hold a lock on one part of an output folder while inside.

    The system lets go of it when the process ends, however it ends, so a killed run never blocks the next. On systems
    without POSIX locks nothing is locked. `part` names the shard: runs of different shards may share a folder.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / f".medseg-{part}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "another medseg run is writing there", where=folder, fix="Wait for it, or choose another --out."
            ) from None
        yield
