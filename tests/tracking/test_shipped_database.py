"""The empty database that comes with medseg is the one that the installed MLflow makes, or is not used."""

import re
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from medseg.tracking import shipped_database
from medseg.tracking.database import made_by_mlflow
from medseg.tracking.shipped_database import STATEMENTS, newest_revision, write_shipped


def tables(path):
    """What makes each table, index and trigger; constraints are in an order that differs from time to time."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return version, sorted((kind, name, sorted(re.split(r"[\s,()]+", sql))) for kind, name, sql in made)


def test_the_newest_revision_is_found_without_importing_mlflow():
    folder = Path(find_spec("mlflow").submodule_search_locations[0])
    migrations = ScriptDirectory(str(folder / "store" / "db_migrations"))
    assert newest_revision() == migrations.get_current_head()


def test_it_has_the_tables_that_mlflow_makes_and_no_run(tmp_path):
    if newest_revision() not in STATEMENTS.read_text(encoding="utf-8"):
        pytest.skip("the installed MLflow has other migrations than the one it was made with")
    assert write_shipped(tmp_path / "empty.db")
    with made_by_mlflow() as made:
        assert tables(tmp_path / "empty.db") == tables(made)
    with closing(sqlite3.connect(tmp_path / "empty.db")) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)


@pytest.mark.parametrize("newest", [None, "0123456789ab"])
def test_it_is_not_used_with_other_migrations(newest, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_database, "newest_revision", lambda: newest)
    assert not write_shipped(tmp_path / "empty.db")
    assert not list(tmp_path.iterdir())


def test_what_sqlite_cannot_write_is_left_to_mlflow(tmp_path, monkeypatch):
    (tmp_path / "broken.sql").write_text(f"INSERT INTO alembic_version VALUES('{newest_revision()}');")
    monkeypatch.setattr(shipped_database, "STATEMENTS", tmp_path / "broken.sql")
    assert not write_shipped(tmp_path / "home" / "empty.db")
    assert not list((tmp_path / "home").iterdir())
