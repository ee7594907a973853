"""A database of MLflow's that a stopped process left incomplete costs a warning, one with runs is never touched."""

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from alembic.script import ScriptDirectory

from medseg.errors import InputError, Interrupted
from medseg.tracking import database, local_runs
from medseg.tracking.runs import Tracker, record_finished


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    """Where an empty database is kept."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("MEDSEG_HOME", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


@pytest.fixture(scope="module")
def empty(home, tmp_path_factory):
    Tracker(tmp_path_factory.mktemp("other"), name="run", parameters={}).end()
    (kept,) = home.rglob("empty-*.db")
    return kept.read_bytes()


def execute(database, *statements):
    with closing(sqlite3.connect(database)) as connection:
        found = [connection.execute(statement).fetchall() for statement in statements]
        connection.commit()
    return found[-1]


@pytest.fixture
def whole(empty, tmp_path):
    """A new database without a run."""
    database = tmp_path / "mlflow.db"
    database.write_bytes(empty)
    return database


MIGRATIONS = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
ONE_BEFORE = MIGRATIONS.get_revision(MIGRATIONS.get_current_head()).down_revision
HALVES = {
    "the last table is made, its version not yet": [f"UPDATE alembic_version SET version_num = '{ONE_BEFORE}'"],
    "some tables are missing": ["DROP TABLE runs", "DROP TABLE alembic_version"],
    "no version yet": ["DELETE FROM alembic_version"],
}


@pytest.mark.parametrize("half", HALVES)
def test_an_incomplete_database_is_moved_aside(whole, caplog, half):
    execute(whole, *HALVES[half])
    with caplog.at_level(logging.WARNING, "medseg"):
        Tracker(whole.parent, name="train", parameters={"a": 1}).end()
    (said,) = caplog.messages
    assert "left incomplete" in said
    assert execute(whole, "SELECT name, status FROM runs") == [("train", "FINISHED")]
    assert (whole.parent / "mlflow-incomplete.db").is_file()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="file is not a database"):
        Tracker(tmp_path, name="run", parameters={})


def test_a_database_is_kept_as_it_is(whole, caplog):
    with caplog.at_level(logging.WARNING, "medseg"):
        Tracker(whole.parent, name="first", parameters={}).end()
        Tracker(whole.parent, name="second", parameters={}).end()
    assert not caplog.messages
    assert execute(whole, "SELECT name FROM runs ORDER BY start_time") == [("first",), ("second",)]


def test_two_that_start_in_one_new_folder_lose_no_record(empty, tmp_path, monkeypatch):
    copy, found_none, first_is_recorded = local_runs.copy, threading.Barrier(2, timeout=20), threading.Event()

    def copy_in_turn(source, database):
        found_none.wait()
        if threading.current_thread().name == "second":
            assert first_is_recorded.wait(timeout=20)
        copy(source, database)

    def record(name):
        record_finished(tmp_path / "out", name=name, parameters={}, tags={}, metrics={})
        first_is_recorded.set()

    monkeypatch.setattr(local_runs, "copy", copy_in_turn)
    threads = [threading.Thread(target=record, name=name, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert execute(tmp_path / "out" / "mlflow.db", "SELECT name FROM runs ORDER BY name") == [("first",), ("second",)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mlflow.db"]


def test_a_stop_while_it_is_made_leaves_none(tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    def stopped(*_given, **_options):
        raise Interrupted("SIGTERM")

    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(database, "write_shipped", lambda path: False)
    monkeypatch.setattr(MlflowClient, "search_experiments", stopped)
    with pytest.raises(Interrupted):
        Tracker(tmp_path / "out", name="run", parameters={})
    assert list((tmp_path / "out").iterdir()) == []
    assert not list((tmp_path / "home").rglob("*.db"))
