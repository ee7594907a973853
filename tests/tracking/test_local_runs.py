"""MLflow is the judge: what is inserted must read back as what its own client records."""

import sqlite3

import pytest

from medseg.tracking import local_runs
from medseg.tracking.local_runs import FinishedRun, insert
from medseg.tracking.runs import Tracker, record_finished

RUN = {"name": "batch-segmentation", "parameters": {"model": "liver 1", "python": "3.11"}, "tags": {"medseg": "batch"}}
RUN |= {"metrics": {"cases_done": 2.0, "seconds": 1.5}}
FINISHED = FinishedRun("medseg", **RUN)


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def read(folder):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("medseg")
    found = []
    for run in client.search_runs([experiment.experiment_id]):
        where = run.info.artifact_uri.replace(run.info.run_id, "ID").replace(str(folder), "OUT")
        found.append((run.info.run_name, run.info.status, where, run.data.params, run.data.tags, run.data.metrics))
        assert run.info.start_time <= run.info.end_time
    return experiment, sorted(found, key=str)


def test_it_reads_back_as_what_mlflow_records(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    record_finished(first, **RUN)  # by MLflow, and an empty database to copy is kept
    assert insert(second / "mlflow.db", second / "mlartifacts", FINISHED)
    by_mlflow, by_hand = read(first), read(second)
    assert by_hand[1] == by_mlflow[1]
    assert by_hand[0].artifact_location == (second / "mlartifacts").as_uri()
    assert by_hand[0].lifecycle_stage == "active"


def test_both_ways_add_to_one_database(tmp_path):
    out = tmp_path / "out"
    record_finished(tmp_path / "first", **RUN)
    for _ in range(2):
        record_finished(out, **RUN)
    Tracker(out, name="train", parameters={"a": 1}).end()
    record_finished(out, **RUN)
    names = [run[0] for run in read(out)[1]]
    assert names == ["batch-segmentation"] * 3 + ["train"]


def test_mlflow_is_not_imported_once_there_is_a_database_to_copy(tmp_path, monkeypatch):
    record_finished(tmp_path / "first", **RUN)
    monkeypatch.setattr("medseg.tracking.runs.Tracker", None)
    record_finished(tmp_path / "second", **RUN)
    assert len(read(tmp_path / "second")[1]) == 1


def test_a_database_of_another_schema_is_left_to_mlflow(tmp_path):
    record_finished(tmp_path / "first", **RUN)
    database = tmp_path / "second" / "mlflow.db"
    assert insert(database, tmp_path, FINISHED)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
    before = database.read_bytes()
    assert not insert(database, tmp_path, FINISHED)
    assert database.read_bytes() == before
    database.write_bytes(b"no database")
    assert not insert(database, tmp_path, FINISHED)


def test_a_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    record_finished(tmp_path / "first", **RUN)
    database = tmp_path / "second" / "mlflow.db"
    assert insert(database, tmp_path, FINISHED)
    invalid = FinishedRun("medseg", "other", {}, {}, {"broken": None})
    assert not insert(database, tmp_path, invalid)
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_without_mlflow_there_is_nothing_to_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(local_runs, "kept_database", lambda: None)
    assert not insert(tmp_path / "mlflow.db", tmp_path, FINISHED)
    assert not (tmp_path / "mlflow.db").exists()


def test_on_a_network_a_run_is_added_by_renaming_and_needs_no_lock(tmp_path, monkeypatch):
    """Where another process holds SQLite's own lock, as it may where everybody is given one, the file stays whole."""
    record_finished(tmp_path / "first", **RUN)
    monkeypatch.setattr(local_runs, "is_local", lambda folder: False)
    monkeypatch.setattr(local_runs, "PATIENCE", 0.1)
    out = tmp_path / "out"
    out.mkdir()
    for _ in range(2):
        assert insert(out / "mlflow.db", out / "mlartifacts", FINISHED)
    other = sqlite3.connect(out / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert insert(out / "mlflow.db", out / "mlartifacts", FINISHED)
    other.close()
    with sqlite3.connect(out / "mlflow.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [path.name for path in out.iterdir()] == ["mlflow.db"]
