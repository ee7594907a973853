"""What is acknowledged is on the disk, and nothing else is ever done to it."""

import errno
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from node_peers import arrival
from pydicom.uid import generate_uid

from medseg.service.node import incoming as module
from medseg.service.node.incoming import DIFFERENT, NO_ROOM, STORED, Incoming


def test_an_object_is_kept_once_under_a_name_that_says_nothing(incoming, store, settings):
    one = arrival(series="1.2.3.4.5", PatientID="4711")
    assert [incoming.keep(one), incoming.keep(one)] == [STORED, STORED]
    (file,) = settings.incoming.rglob("*.dcm")
    assert file.read_bytes() == one.content.getvalue()
    assert file.stat().st_mode & 0o777 == 0o600
    relative = str(file.relative_to(settings.folder))
    assert not any(text in relative for text in ("Doe", "4711", one.instance, "1.2.3.4.5"))
    (row,) = store.rows("select * from objects")
    assert (row["instance"], row["caller"], row["sha256"]) == (one.instance, "CT1", one.sha256)
    assert settings.incoming / row["file"] == file
    assert not list(incoming.parts.iterdir())
    assert store.rows("select objects, changed from series")[0]["objects"] == 1


def test_other_bytes_under_the_same_uid_are_refused_and_put_aside(incoming, store, settings):
    first, other = arrival("1.2.3.1"), arrival("1.2.3.1", content=b"other pixels")
    assert incoming.keep(first) == STORED
    assert [incoming.keep(other), incoming.keep(other)] == [DIFFERENT, DIFFERENT]
    assert incoming.keep(first) == STORED
    (file,) = settings.incoming.rglob("*.dcm")
    assert file.read_bytes() == first.content.getvalue()
    (aside,) = incoming.quarantine.iterdir()
    assert aside.read_bytes() == other.content.getvalue()
    assert len(store.rows("select * from quarantine")) == 1


def test_a_file_that_somebody_deleted_is_kept_again(incoming, settings):
    one = arrival()
    incoming.keep(one)
    (file,) = settings.incoming.rglob("*.dcm")
    file.unlink()
    assert incoming.keep(one) == STORED
    assert file.read_bytes() == one.content.getvalue()


@pytest.mark.parametrize("fails", ["fsync", "commit", "space"])
def test_a_full_disk_is_out_of_resources_and_records_nothing(fails, incoming, store, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def cannot(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        if fails == "fsync":
            patch.setattr(os, "fsync", full)
        elif fails == "commit":
            patch.setattr(incoming, "_record", cannot)
        else:
            patch.setattr(incoming, "spare", 1 << 60)
        one = arrival()
        assert incoming.keep(one) == NO_ROOM
        assert not store.rows("select * from objects")
        assert not list(incoming.parts.iterdir())
    assert incoming.keep(one) == STORED  # when there is space again


def test_nobody_is_told_before_the_row_is_committed(incoming, store, monkeypatch):
    """The thread that records is held up in the middle: no answer comes until it is let through."""
    held, through = threading.Event(), threading.Event()
    real = incoming._record

    def slowly(batch: list) -> list[int]:
        held.set()
        assert through.wait(10)
        return real(batch)

    monkeypatch.setattr(incoming, "_record", slowly)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(incoming.keep, arrival())
        assert held.wait(10)
        assert not answer.done()
        assert not store.rows("select * from objects")
        through.set()
        assert answer.result(10) == STORED
    assert len(store.rows("select * from objects")) == 1


def test_many_senders_at_once_lose_nothing(incoming, store, settings):
    objects = [arrival(series=f"1.2.{number % 4}") for number in range(80)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(incoming.keep, objects + objects[:20])) == {STORED}
    rows = store.rows("select instance, file from objects")
    assert {row["instance"] for row in rows} == {one.instance for one in objects}
    by_uid = {one.instance: one.content.getvalue() for one in objects}
    assert all((settings.incoming / row["file"]).read_bytes() == by_uid[row["instance"]] for row in rows)
    assert {row["objects"] for row in store.rows("select objects from series")} == {20}


def test_what_a_killed_process_had_not_acknowledged_is_cleared_away(store, settings):
    (settings.folder / module.PARTS).mkdir()
    (settings.folder / module.PARTS / "half").write_bytes(b"half")
    with Incoming(store, settings.incoming, spare=0) as kept:
        assert not list(kept.parts.iterdir())
        assert kept.keep(arrival(generate_uid())) == STORED
