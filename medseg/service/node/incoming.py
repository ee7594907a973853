"""Objects on their way to the disk: whole and recorded before anybody hears that they are stored.

The bytes of each object are written and synced by the thread that received it. What then must happen in order, the
names and the rows, is done by one thread for all that wait at that moment: one sync of a folder and one of the database
serve them all, so that several senders cost little more than one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import secrets
import shutil
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from medseg.io.files.atomic import sync_folder
from medseg.service.arriving import CHUNK, size_of
from medseg.service.bounds import SPARE_DISK
from medseg.service.node.store import FOLDER_MODE, NodeStore

log = logging.getLogger("medseg.serve")
STORED, DIFFERENT, NO_ROOM = 0x0000, 0x0111, 0xA700
PARTS, QUARANTINE = "parts", "quarantine"
MOST_AT_ONCE = 64
SAY_EVERY = 60.0  # seconds
ANSWER_SECONDS = 120.0  # after which a sender is told to try again, whatever became of it


@dataclass(frozen=True)
class Arrival:
    """An object that has come in; nothing of its patient."""

    instance: str
    sop_class: str
    series: str
    study: str
    caller: str
    sha256: str  # of what was sent and how it is encoded, which says whether the same object came again
    content: BinaryIO = field(repr=False)  # the whole file, as it is to be kept


@dataclass(frozen=True)
class _Written:
    arrival: Arrival
    part: Path
    size: int  # bytes
    status: Future[int]


def folder_of(series: str) -> str:
    """Name of the folder of a series: a hash of its UID."""
    return hashlib.sha256(series.encode()).hexdigest()[:32]


def file_of(instance: str) -> str:
    """Name of the file of an object: a hash of its UID."""
    return f"{hashlib.sha256(instance.encode()).hexdigest()[:32]}.dcm"


class Incoming:
    """Keeps what arrives; for the time of the context one thread names and records it."""

    def __init__(self, store: NodeStore, folder: Path, spare: int = SPARE_DISK) -> None:
        self.store, self.folder, self.spare = store, folder, spare
        self.parts, self.quarantine = store.folder / PARTS, store.folder / QUARANTINE
        self._waiting: queue.SimpleQueue[_Written | None] = queue.SimpleQueue()
        self._said = -SAY_EVERY
        self._thread = threading.Thread(target=self._record_all, name="record", daemon=True)

    def __enter__(self) -> Incoming:
        shutil.rmtree(self.parts, ignore_errors=True)  # of a process that was killed; nobody was told of them
        for folder in (self.folder, self.parts, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()

    def keep(self, arrival: Arrival) -> int:
        """Return the status to answer with: stored only when the object and its row are on the disk."""
        part = self.parts / secrets.token_hex(12)
        try:
            size = size_of(arrival.content)
            if shutil.disk_usage(self.parts).free - size < self.spare:
                return NO_ROOM
            with part.open("xb") as stream:
                os.fchmod(stream.fileno(), 0o600)
                shutil.copyfileobj(arrival.content, stream, CHUNK)
                stream.flush()
                os.fsync(stream.fileno())
            written = _Written(arrival, part, size, Future())
            self._waiting.put(written)
            return written.status.result(ANSWER_SECONDS)
        except (OSError, sqlite3.Error) as error:  # a full disk, or one that fails: the sender keeps it, tries again
            self._say(error)
            return NO_ROOM
        finally:
            part.unlink(missing_ok=True)

    def _say(self, error: OSError | sqlite3.Error) -> None:
        """Write why objects cannot be kept, once a while: a sender may try thousands."""
        if time.monotonic() - self._said >= SAY_EVERY:
            self._said = time.monotonic()
            log.error("Objects cannot be kept (%s in %s); senders are told to try again.", error, self.store.folder)

    def _record_all(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < MOST_AT_ONCE:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            written = [one for one in batch if one is not None]
            try:
                for one, status in zip(written, self._record(written), strict=True):
                    one.status.set_result(status)
            except BaseException as error:  # whatever it is, nobody may be told that it was stored
                for one in written:
                    if not one.status.done():
                        one.status.set_exception(error if isinstance(error, sqlite3.Error) else OSError(str(error)))
            if len(written) < len(batch):
                return

    def _record(self, batch: list[_Written]) -> list[int]:
        """Give files their names and rows; all of them are on the disk when this returns."""
        statuses, folders = [], set[Path]()
        with self.store.transaction() as db:
            for one in batch:
                statuses.append(self._record_one(db, one, folders))
            for folder in folders:
                sync_folder(folder)
        return statuses

    def _record_one(self, db: sqlite3.Connection, one: _Written, folders: set[Path]) -> int:
        arrival, now = one.arrival, time.time()
        known = db.execute("select sha256, deleted, file from objects where instance=?", (arrival.instance,)).fetchone()
        if known is not None and known["sha256"] != arrival.sha256:
            name = f"{file_of(arrival.instance).removesuffix('.dcm')}-{arrival.sha256[:16]}.dcm"
            one.part.replace(self.quarantine / name)
            folders.add(self.quarantine)
            row = (arrival.instance, arrival.sha256, name, arrival.caller, now)
            db.execute("insert or ignore into quarantine(instance, sha256, file, caller, at) values(?,?,?,?,?)", row)
            return DIFFERENT
        if known is not None and known["deleted"] is None and (self.folder / known["file"]).is_file():
            # Sent again: perhaps because a rule has changed, by which its series is looked at again once it is whole.
            db.execute("update series set last=?, changed=1, state='arriving' where uid=?", (now, arrival.series))
            return STORED
        folder = self.folder / folder_of(arrival.series)
        if not folder.is_dir():
            folder.mkdir(mode=FOLDER_MODE)
            folders.add(self.folder)
        name = file_of(arrival.instance)
        one.part.replace(folder / name)
        folders.add(folder)
        if known is not None:  # deleted after its time or by somebody, and sent again
            db.execute(
                "update objects set deleted=null, committed=null, at=? where instance=?", (now, arrival.instance)
            )
        else:
            added = (arrival.instance, arrival.sop_class, arrival.series, f"{folder.name}/{name}", arrival.sha256)
            db.execute(
                "insert into objects(instance, sop_class, series, file, sha256, size, caller, at) "
                "values(?,?,?,?,?,?,?,?)",
                (*added, one.size, arrival.caller, now),
            )
        db.execute(
            "insert into series(uid, study, folder, first, last, objects) values(?,?,?,?,?,1) "
            "on conflict(uid) do update "
            "set last=excluded.last, changed=1, state='arriving', reason='', objects=objects+?",
            (arrival.series, arrival.study, folder.name, now, now, 0 if known is not None else 1),
        )
        return STORED
