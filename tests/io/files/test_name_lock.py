"""Locks by name, on a file system whose other locks are given to everybody; SQLite here runs without any of its own."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from medseg.io.files import leftovers
from medseg.io.files.leftovers import part_name
from medseg.io.files.name_lock import NameLock, signs_of_life
from medseg.review.events import EventLog
from medseg.service.node.store import NodeStore, holding, is_held

EVENTS = 60
# As on a network that gives every lock to everybody: flock always succeeds, and SQLite is told not to lock.
LIE = """
import fcntl, sqlite3, sys, time
from pathlib import Path
from medseg.service.node import store as node_store
node_store.is_local = lambda folder: False
fcntl.flock = lambda *_: None
connect = sqlite3.connect
sqlite3.connect = lambda path, **how: connect(f"file:{path}?vfs=unix-none", uri=True, **how)
place, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(place / f"{who}.ready").touch()
while len([*place.glob("*.ready")]) < 2:
    time.sleep(0.001)
"""
TRAIL = """
from medseg.review.events import EventLog
log = EventLog(place / "review.sqlite", write_ahead=False)
for n in range(count):
    log.append(who, "scan", "opened", {"n": n})
    assert log.rows("select count(*) from events")[0][0] > n
"""
NODE = """
with node_store.NodeStore(place) as store:
    for n in range(count):
        with store.transaction() as db:
            (most,) = db.execute("select coalesce(max(at), 0) from notices").fetchone()
            db.execute("insert into notices(at, body) values(?, ?)", (most + 1, who))
"""


def together(script: str, place: Path) -> None:
    """Run it in two processes at once."""
    runs = [
        subprocess.Popen([sys.executable, "-c", LIE + script, str(place), who, str(EVENTS)], stderr=subprocess.PIPE)
        for who in ("Ada", "Bob")
    ]
    said = [run.communicate(timeout=100)[1].decode() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said


def test_two_who_write_one_trail_lose_and_break_nothing(tmp_path: Path) -> None:
    together(TRAIL, tmp_path)
    log = EventLog(tmp_path / "review.sqlite", write_ahead=False)
    assert log.broken_at() is None
    events = log.events()
    for who in ("Ada", "Bob"):
        assert [event.body["n"] for event in events if event.who == who] == list(range(EVENTS))
    assert log.rows("pragma integrity_check") == [("ok",)]
    log.close()
    assert not [*tmp_path.glob("*.lock")]


def test_two_who_write_one_node_s_database_lose_nothing(tmp_path: Path) -> None:
    together(NODE, tmp_path)
    with NodeStore(tmp_path) as store:
        assert [row["at"] for row in store.rows("select at from notices order by at")] == list(range(1, 2 * EVENTS + 1))
        assert [tuple(row) for row in store.rows("pragma integrity_check")] == [("ok",)]


def test_the_lock_of_a_process_that_was_killed_is_taken_at_once(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from medseg.io.files.name_lock import NameLock
with NameLock(Path(sys.argv[1])).held(1):
    os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")], check=True)
    assert (tmp_path / "lock").exists()
    lock = NameLock(tmp_path / "lock")
    with lock.held(0):
        assert lock.is_mine()
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def far(tmp_path: Path, monkeypatch) -> Path:
    """A lock that another machine holds."""
    name = part_name("lock").replace(leftovers._machine(), "0" * 8)
    (tmp_path / "lock").write_text(name)
    return tmp_path / "lock"


def test_of_another_machine_it_is_taken_when_it_gives_no_sign_of_life(far: Path) -> None:
    with pytest.raises(TimeoutError), NameLock(far, dead_after=60).held(0.1):
        pass
    stop = threading.Event()

    def live() -> None:
        for n in range(1000):
            if stop.wait(0.05):
                return
            os.utime(far, (n, n))  # a clock that has nothing to do with ours

    sign = threading.Thread(target=live)
    sign.start()
    with pytest.raises(TimeoutError), NameLock(far, dead_after=0.5).held(1.5):
        pass
    stop.set()
    sign.join()
    lock = NameLock(far, dead_after=0.2)
    with lock.held(10):
        assert lock.is_mine()
    assert not far.exists()


def test_who_lost_it_keeps_nothing_and_hears_of_it(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "review.sqlite", write_ahead=False)
    log.append("Ada", "scan", "opened", {})
    with pytest.raises(Exception, match="another process took its lock"), log.transaction():
        log.append("Ada", "scan", "opened", {})
        (tmp_path / "review.sqlite.lock").write_text("another")
    (tmp_path / "review.sqlite.lock").unlink()
    assert len(log.events()) == 1
    log.close()
    lock = NameLock(tmp_path / "lock")
    with lock.held(0), signs_of_life(lock, every=0.01) as sign:
        time.sleep(0.05)
        assert sign.is_alive()
        lock.path.write_text("another")
        sign.join(10)
        assert not sign.is_alive()
    assert lock.path.read_text() == "another"  # and what is not ours any more stays


def test_a_lock_that_came_in_between_is_not_taken_away(tmp_path: Path) -> None:
    from medseg.io.files.name_lock import _take_away

    (tmp_path / "lock").write_text("new")
    _take_away(tmp_path / "lock", "old")
    assert (tmp_path / "lock").read_text() == "new"
    _take_away(tmp_path / "lock", "new")
    assert not [*tmp_path.iterdir()]


def test_one_node_at_a_time_holds_a_folder_of_a_network(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("medseg.service.node.store.is_local", lambda folder: False)
    monkeypatch.setattr("medseg.service.node.store.DEAD_AFTER", 0.1)
    monkeypatch.setattr("medseg.service.node.store.PASSING_SECONDS", 0.1)
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    with holding(tmp_path) as is_ours:
        assert is_ours()
        assert is_held(tmp_path)
        with pytest.raises(Exception, match="another node runs in this folder"), holding(tmp_path):
            pass
    assert not is_held(tmp_path)
