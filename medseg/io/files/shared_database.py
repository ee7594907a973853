"""One SQLite file that many threads and processes share: who may write, and what is undone where that ends early."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.io.files.name_lock import NameLock

OWNER_ONLY = 0o600
BUSY_SECONDS = 30.0


class SharedDatabase:
    """A database that this process's threads use one at a time, and other processes beside it.

    Parameters
    ----------
    path : Path
        The file, made if missing, for its owner alone.
    write_ahead : bool
        Whether to keep a write-ahead log, which only file systems of this machine can. Otherwise a rollback journal,
        and a lock by name around all that is read and written, because SQLite's own may be given to everybody there.

    Raises
    ------
    OSError
        When the file cannot be made.
    sqlite3.DatabaseError
        When it is not SQLite's, or damaged.
    """

    def __init__(self, path: Path, *, write_ahead: bool) -> None:
        self.lock = threading.RLock()
        self._name_lock = None if write_ahead else NameLock(path.with_name(f"{path.name}.lock"))
        path.touch(mode=OWNER_ONLY)
        self.connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        with self.turn():
            self.connection.execute(f"pragma journal_mode={'wal' if write_ahead else 'delete'}").fetchone()
            self.connection.execute("pragma synchronous=full")  # an answer means that it is on the disk

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.connection.close()

    @contextmanager
    def turn(self) -> Iterator[sqlite3.Connection]:
        """Keep this process's other threads out, and every other process where the file system's locks may not."""
        with self.lock:
            if self._name_lock is None:
                yield self.connection
                return
            try:
                with self._name_lock.held(BUSY_SECONDS):
                    yield self.connection
            except TimeoutError as error:
                raise sqlite3.OperationalError(error.strerror) from error

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """Read several things as they were at one moment, whatever other processes write meanwhile."""
        with self.turn():
            self.connection.execute("begin")
            try:
                yield self.connection
            finally:
                self.connection.execute("rollback")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the only right to write, over all processes; what was done is undone where it ends in an error."""
        with self.turn():
            self.connection.execute("begin immediate")
            try:
                yield self.connection
                if self._name_lock is not None and not self._name_lock.is_mine():
                    raise sqlite3.OperationalError("another process took its lock")
                self.connection.execute("commit")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("rollback")
                raise
