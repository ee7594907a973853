"""What a node knows, in one SQLite file: objects, series, jobs, deliveries, commitments and notices.

Whatever was acknowledged to anybody was committed before, with the disk's own confirmation; a process that is killed
at any moment finds everything as it was. One process at a time holds the folder, by a lock that the system lets go of
however the process ends: that lock is the lease on every job, so that no job waits for one to expire. On file systems
of networks, whose locks may be given to everybody, locks by name are held as well.

What is tried again later is due at its time, and also where that lies further ahead than anything ever waits: then a
clock was set back.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from medseg.errors import InputError, UsageError
from medseg.io.files.file_system import is_local
from medseg.io.files.lock import exclusive
from medseg.io.files.name_lock import DEAD_AFTER, NameLock, signs_of_life
from medseg.io.files.shared_database import SharedDatabase

DATABASE = "node.sqlite"
NAME_LOCK = ".medseg-node.name"
FORMAT = 1  # of the tables
FOLDER_MODE = 0o700
PASSING_SECONDS = 1.0  # in which whoever only looks whether a node runs has let go of its lock
TABLES = """
create table if not exists objects(
    n integer primary key autoincrement, instance text not null unique, sop_class text not null, series text not null,
    file text not null, sha256 text not null, size integer not null, caller text not null, at real not null,
    committed real, deleted real);
create index if not exists objects_of_series on objects(series);
create index if not exists objects_kept on objects(series) where deleted is null;
create table if not exists series(
    uid text primary key, study text not null, folder text not null, first real not null, last real not null,
    objects integer not null default 0, changed integer not null default 1, state text not null default 'arriving',
    reason text not null default '', asked real not null default 0);
create index if not exists series_changed on series(changed);
create table if not exists jobs(
    n integer primary key autoincrement, id text not null unique, series text not null, upto integer not null,
    rule integer not null, model text not null, formats text not null, send_to text not null,
    state text not null default 'ready', tries integer not null default 0, starts integer not null default 0,
    next real not null default 0, cases text not null default '[]', error text not null default '',
    fix text not null default '', made real not null, ended real);
create index if not exists jobs_by_state on jobs(state);
create index if not exists jobs_of_series on jobs(series);
create table if not exists deliveries(
    n integer primary key autoincrement, destination text not null, instance text not null, sop_class text not null,
    job text not null, series text not null, case_id text not null, file text not null,
    state text not null default 'ready', tries integer not null default 0, next real not null default 0,
    error text not null default '', made real not null, sent real, unique(destination, instance));
create index if not exists deliveries_by_state on deliveries(state);
create table if not exists quarantine(
    n integer primary key autoincrement, instance text not null, sha256 text not null, file text not null,
    caller text not null, at real not null, unique(instance, sha256));
create table if not exists commitments(
    uid text primary key, destination text not null, at real not null, reported real);
create table if not exists commitment_items(uid text not null, instance text not null, sop_class text not null);
create index if not exists items_of_commitment on commitment_items(uid);
create table if not exists notices(
    n integer primary key autoincrement, at real not null, body text not null, state text not null default 'ready',
    tries integer not null default 0, next real not null default 0, error text not null default '');
"""


class NodeStore:
    """The database, which threads of one process share, and other processes read.

    Raises
    ------
    InputError
        When it is not SQLite's, or damaged.
    UsageError
        When there is none and it is not to be made.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder, self.path = folder, folder / DATABASE
        if not create and not self.path.is_file():
            raise UsageError(
                "no node has run there yet", where=folder, fix="Start it with `medseg serve --config node.yaml`."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            self._file = SharedDatabase(self.path, write_ahead=is_local(folder))
            with self._file.turn() as connection:
                connection.row_factory = sqlite3.Row
                self._make_tables(connection)
        except OSError as error:
            raise _unusable(folder, error) from error
        except sqlite3.OperationalError as error:
            raise UsageError(
                f"the node's database cannot be opened ({error})",
                where=self.path,
                fix="Check that the disk is not full and the folder may be written.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"the node's database cannot be used ({error})", where=self.path, fix="Restore it from a backup."
            ) from error

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        found = int(connection.execute("pragma user_version").fetchone()[0])
        if found > FORMAT:
            raise UsageError(
                "the node's database is of a later version of medseg", where=self.path, fix="Install that version."
            )
        connection.executescript(TABLES)
        if found < FORMAT:
            connection.execute(f"pragma user_version={FORMAT}")

    def __enter__(self) -> NodeStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Hold the only right to write; what was done is undone where it ends in an error."""
        return self._file.transaction()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Answer a query."""
        with self._file.turn() as connection:
            return connection.execute(query, values).fetchall()

    def change(self, statement: str, *values: Any) -> int:
        """Carry out one statement in a transaction of its own; return how many rows it changed."""
        with self.transaction() as db:
            return db.execute(statement, values).rowcount


@contextmanager
def holding(folder: Path) -> Iterator[Callable[[], bool]]:
    """Hold a node's folder; `UsageError` while another process does. Gives what says whether it is still held."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    except OSError as error:
        raise _unusable(folder, error) from error
    with ExitStack() as stack:
        deadline = time.monotonic() + PASSING_SECONDS
        while True:
            try:
                stack.enter_context(exclusive(folder, "node"))
                break
            except UsageError:  # perhaps somebody only looks whether a node runs
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                raise _taken(folder) from None
        if is_local(folder):
            yield lambda: True
            return
        lock = NameLock(folder / NAME_LOCK)
        try:
            stack.enter_context(lock.held(DEAD_AFTER + PASSING_SECONDS))
        except TimeoutError:
            raise _taken(folder) from None
        yield stack.enter_context(signs_of_life(lock)).is_alive


def _unusable(folder: Path, error: OSError) -> UsageError:
    if folder.is_file():
        return UsageError("the node's folder is a file", where=folder, fix="Name a folder in `folder`.")
    return UsageError(f"cannot be written ({error.strerror})", where=folder, fix="Check who may write.")


def _taken(folder: Path) -> UsageError:
    return UsageError(
        "another node runs in this folder", where=folder, fix="Stop it, or give this one a folder of its own."
    )


def is_held(folder: Path) -> bool:
    """Whether a node runs in a folder."""
    if not folder.is_dir():
        return False
    try:
        with exclusive(folder, "node"):
            return not is_local(folder) and NameLock(folder / NAME_LOCK).is_held() is not False
    except UsageError:
        return True
