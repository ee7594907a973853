"""Records a finished run in MLflow's own SQLite database without importing MLflow, which takes longer than a case does.

A batch of predictions is one row and a few numbers. So an empty database that MLflow made once is copied, see
`medseg.tracking.database`, and what its client would insert for a finished run is inserted here. Everything read back,
or recorded in any other place, goes through MLflow; see `medseg.tracking.runs`.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from medseg.io.files.atomic import atomic_path
from medseg.io.files.file_system import is_local
from medseg.tracking.database import PATIENCE, copy, kept_database, schema, schema_of


@dataclass(frozen=True)
class FinishedRun:
    """What there is to record; parameters and tags in the lengths MLflow allows, one number a metric."""

    experiment: str
    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def insert(database: Path, artifacts: Path, run: FinishedRun) -> bool:
    """Add a run to a SQLite file, which is made where there is none; False where only MLflow itself can do so.

    `artifacts` is the folder for files of an experiment that is made now.
    """
    if (empty := kept_database()) is None:
        return False
    try:
        if is_local(database.parent):
            if not database.exists():
                copy(empty, database)
            return _added(database, empty, artifacts, run)
        # Locks of a network's file system may be given to everybody, and SQLite relies on them: what is whole there is
        # what was renamed. Of two that do so at once, one run is lost, and the file is not.
        with atomic_path(database) as part:
            shutil.copyfile(database if database.exists() else empty, part)
            if not _added(part, empty, artifacts, run):
                raise sqlite3.DatabaseError("it is of another version")
    except sqlite3.Error:
        return False
    return True


def _added(database: Path, empty: Path, artifacts: Path, run: FinishedRun) -> bool:
    """Insert a run; False where the database has other tables than the empty one."""
    with _writing(database) as connection:
        if schema(connection) != schema_of(empty):
            return False
        _insert(connection, artifacts, run)
    return True


@contextlib.contextmanager
def _writing(database: Path) -> Iterator[sqlite3.Connection]:
    """Open a transaction that is kept whole or not at all, alone among writers."""
    with closing(sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, artifacts: Path, run: FinishedRun) -> None:
    """Insert what MLflow's client inserts for create_run, log_batch and set_terminated."""
    now, run_id = int(time.time() * 1000), uuid.uuid4().hex
    find = "SELECT experiment_id, artifact_location FROM experiments WHERE name = ? AND lifecycle_stage = 'active'"
    known = connection.execute(find, (run.experiment,)).fetchone()
    if known is None:
        connection.execute(
            "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time) "
            "VALUES (?, ?, 'active', ?, ?)",
            (run.experiment, artifacts.as_uri(), now, now),
        )
        known = connection.execute(find, (run.experiment,)).fetchone()
    experiment, location = known
    connection.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
        "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
        "VALUES (?, ?, 'UNKNOWN', '', '', 'unknown', 'FINISHED', ?, ?, '', 'active', ?, ?)",
        (run_id, run.name, now, now, f"{location}/{run_id}/artifacts", experiment),
    )
    tags = {"mlflow.runName": run.name, **run.tags}
    connection.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", [(k, v, run_id) for k, v in tags.items()]
    )
    connection.executemany(
        "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
        [(k, v, run_id) for k, v in run.parameters.items()],
    )
    for table in ("metrics", "latest_metrics"):
        connection.executemany(
            f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",  # noqa: S608
            [(key, value, now, run_id) for key, value in run.metrics.items()],
        )
