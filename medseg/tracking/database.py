"""Makes MLflow's SQLite database whole or not at all, by copying an empty one.

MLflow takes seconds to bring a new database through all migrations of its history, and cannot go on where a process is
stopped in between. So an empty one, which comes with medseg or which MLflow makes elsewhere, is kept by MLflow's
version, and copied.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from medseg.io.files.atomic import atomic_path
from medseg.io.files.temporary import temporary_folder
from medseg.resources import store_folder
from medseg.tracking.shipped_database import write_shipped

log = logging.getLogger("medseg.tracking")

# Seconds to wait for another process that is writing.
PATIENCE = 30.0
ROWS_OF_RUNS = ("latest_metrics", "metrics", "params", "tags", "runs", "experiment_tags", "experiments")


def make_ready(database: Path) -> None:
    """Make a database where there is none, or one that holds no run and that a stopped process left incomplete."""
    known = database.exists()
    if known and not _is_without_runs(database):
        return
    with _empty() as empty:
        if known:
            if schema_of(database) == schema_of(empty):
                return
            aside = database.with_name(f"{database.stem}-incomplete{database.suffix}")
            database.replace(aside)
            log.warning("%s was left incomplete by a stopped run, so it was renamed to %s.", database, aside.name)
        copy(empty, database)


def copy(empty: Path, database: Path) -> None:
    """Copy an empty database to where there is none; one that another process has made meanwhile is kept."""
    with atomic_path(database, keep=True) as part:
        part.write_bytes(empty.read_bytes())


def kept_database() -> Path | None:
    """Empty database of the installed MLflow, kept or shipped; None where only MLflow can make it."""
    kept = _place()
    return kept if kept is not None and (kept.is_file() or write_shipped(kept)) else None


def _place() -> Path | None:
    """Where the empty database of the installed MLflow is kept; None without MLflow."""
    for name in ("mlflow-skinny", "mlflow"):
        with contextlib.suppress(PackageNotFoundError):
            return store_folder().parent / "mlflow" / f"empty-{version(name)}.db"
    return None


def schema(connection: sqlite3.Connection) -> list[tuple[str]]:
    """Version of a database's tables, in a list."""
    return connection.execute("SELECT version_num FROM alembic_version").fetchall()


def schema_of(database: Path) -> list[tuple[str]]:
    """Version of the tables of a database in a file; an empty list where it has none."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return schema(connection)
        except sqlite3.OperationalError:  # there is no such table
            return []


@contextlib.contextmanager
def _empty() -> Iterator[Path]:
    """Give an empty database: the one that is kept, or one that MLflow makes, which is kept where that can be done."""
    if (kept := kept_database()) is not None:
        yield kept
        return
    with made_by_mlflow() as empty:
        if (place := _place()) is not None:
            with contextlib.suppress(OSError):
                copy(empty, place)
        yield empty


@contextlib.contextmanager
def made_by_mlflow() -> Iterator[Path]:
    """Let MLflow make an empty database in a temporary folder."""
    from mlflow.tracking import MlflowClient

    # MLflow keeps the file open, which on Windows cannot be deleted then.
    with temporary_folder() as folder:
        made, empty = Path(folder) / "made.db", Path(folder) / "empty.db"
        MlflowClient(tracking_uri=f"sqlite:///{made.as_posix()}").search_experiments(max_results=1)
        with closing(sqlite3.connect(made)) as source, closing(sqlite3.connect(empty)) as target:
            source.backup(target)
            for table in ROWS_OF_RUNS:
                target.execute(f"DELETE FROM {table}")  # noqa: S608  (names from the list above)
            target.commit()
            target.execute("VACUUM")
        yield empty


def _is_without_runs(database: Path) -> bool:
    """Whether nothing would be lost with a database; False for a file that is none, which MLflow reports."""
    with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            return "runs" not in tables or connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is None
        except sqlite3.Error:
            return False
