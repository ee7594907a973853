"""The audit trail: events in SQLite that are only ever appended, each with the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.errors import InputError, UsageError
from medseg.io.files.shared_database import SharedDatabase

FIRST = "0" * 64  # stands for the hash before the first event
LONGEST_NAME = 64
SUGGESTED = "suggested"  # kind of an event: voxels of a class, from marks of a reader
TABLES = """
create table if not exists events(
    n integer primary key autoincrement, t text not null, who text not null, case_id text not null, kind text not null,
    body text not null, prev text not null, hash text not null);
create index if not exists events_of_case on events(case_id, n);
create table if not exists windows(
    window text primary key, case_id text not null, who text not null, until real not null);
"""


@dataclass(frozen=True)
class Event:
    """One entry of the trail."""

    n: int  # 1, 2, 3, ...
    t: str  # when, UTC, ISO 8601
    who: str
    case_id: str  # empty where it is about no single case
    kind: str
    body: Mapping[str, Any]
    prev: str  # hash of the event before
    hash: str


def event_hash(n: int, t: str, who: str, case_id: str, kind: str, body: str, prev: str) -> str:
    """SHA-256 over the fields of an event, `body` as it is stored; none of them holds a line break."""
    return hashlib.sha256("\n".join([str(n), t, who, case_id, kind, body, prev]).encode()).hexdigest()


class EventLog:
    """The trail in one SQLite file, which several processes and threads may write.

    Parameters
    ----------
    path : Path
        The file, made if missing.
    write_ahead : bool
        Whether to keep a write-ahead log, which only file systems of this machine can. Otherwise a rollback journal,
        and a lock by name around all that is read and written, because SQLite's own may be given to everybody there.

    Raises
    ------
    InputError
        When it is not SQLite's, or damaged.
    """

    def __init__(self, path: Path, *, write_ahead: bool) -> None:
        self.path = path
        try:
            with self._errors():
                self._file = SharedDatabase(path, write_ahead=write_ahead)
                with self._file.turn() as connection:
                    connection.executescript(TABLES)
        except OSError as error:
            raise UsageError(f"cannot be written ({error.strerror})", where=path, fix="Check who may write.") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the only right to write, over all processes; what was done is undone where it ends in an error."""
        with self._errors(), self._file.transaction() as connection:
            yield connection

    def append(self, who: str, case_id: str, kind: str, body: Mapping[str, Any]) -> Event:
        """Append an event; inside a `transaction` it is there once that ends, otherwise when this returns."""
        with self._file.lock:
            if self._file.connection.in_transaction:
                return self._append(who, case_id, kind, body)
            with self.transaction():
                return self._append(who, case_id, kind, body)

    def _append(self, who: str, case_id: str, kind: str, body: Mapping[str, Any]) -> Event:
        connection = self._file.connection
        last = connection.execute("select n, hash from events order by n desc limit 1").fetchone() or (0, FIRST)
        n, prev = last[0] + 1, last[1]
        t = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
        digest = event_hash(n, t, who, case_id, kind, text, prev)
        connection.execute("insert into events values(?,?,?,?,?,?,?,?)", (n, t, who, case_id, kind, text, prev, digest))
        return Event(n, t, who, case_id, kind, body, prev, digest)

    def events(self, case_id: str | None = None) -> tuple[Event, ...]:
        """Return all events, or those of one case, in order."""
        of_case = ("where case_id=? ", (case_id,)) if case_id is not None else ("", ())
        query = f"select n, t, who, case_id, kind, body, prev, hash from events {of_case[0]}order by n"  # noqa: S608
        rows = self.rows(query, of_case[1])
        try:
            return tuple(
                Event(n, t, who, case, kind, parse_json(body), prev, digest)
                for n, t, who, case, kind, body, prev, digest in rows
            )
        except ValueError as error:
            raise _damaged(self.path, "an event's body is not JSON") from error

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Answer a query on the other tables."""
        with self._errors(), self._file.turn() as connection:
            return connection.execute(query, values).fetchall()

    def broken_at(self) -> tuple[int, str] | None:
        """Walk the chain; return the first event that is not as it was written, and what is wrong with it."""
        with self._errors(), self._file.moment():
            rows = self.rows("select n, t, who, case_id, kind, body, prev, hash from events order by n")
            counted = self.rows("select seq from sqlite_sequence where name='events'")
        before = FIRST
        for place, (n, t, who, case_id, kind, body, prev, digest) in enumerate(rows, start=1):
            if n != place:
                return place, "is missing"
            if prev != before or digest != event_hash(n, t, who, case_id, kind, body, prev):
                return place, "is not as it was written"
            before = digest
        # SQLite keeps count of the rows ever added, so that events cut off the end are missed too.
        if (counted[0][0] if counted else 0) != len(rows):
            return len(rows) + 1, "is missing"
        return None

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the newest event: written down elsewhere, they vouch for everything before."""
        rows = self.rows("select n, hash from events order by n desc limit 1")
        return (rows[0][0], rows[0][1]) if rows else (0, FIRST)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            fix = "Check that the disk is not full and the folder may be written, and try again."
            raise UsageError(f"the audit trail cannot be used ({error})", where=self.path, fix=fix) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(self.path, str(error)) from error


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"the audit trail is damaged ({why})", where=path, fix="Restore it from a backup.")


def check_name(who: str) -> None:
    """Raise `UsageError` unless this can stand in the trail as a person's name."""
    if not who.strip() or len(who) > LONGEST_NAME or not who.isprintable():
        raise UsageError(
            f"'{who[:LONGEST_NAME]}' cannot be a reader's name",
            where="--reviewer",
            fix=f"Give 1 to {LONGEST_NAME} printable letters.",
        )
