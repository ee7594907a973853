import sqlite3
from pathlib import Path

import pytest
from tiny_dataset import train_config

from medseg.errors import InputError
from medseg.tracking.runs import Tracker
from medseg.training.run import train

# SQLAlchemy about a relation of MLflow's tables.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def rows(database: Path, query: str) -> list[tuple]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def recorded(balls, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        out = tmp_path_factory.mktemp("recorded")
        train(balls, out, config=train_config(tracking=True), device="cpu")
    return out


def test_a_run_has_its_parameters_and_one_point_an_epoch(recorded):
    database = recorded / "mlflow.db"
    parameters = dict(rows(database, "select key, value from params"))
    assert parameters["optimizer.learning_rate"] == "0.01"
    assert parameters["seed"] == "0"
    losses = rows(database, "select step, value from metrics where key = 'loss' order by step")
    assert [step for step, _ in losses] == [0, 1, 2]
    assert losses[-1][1] < losses[0][1]
    assert rows(database, "select value from metrics where key = 'dice.mean'")
    assert rows(database, "select status from runs") == [("FINISHED",)]


def test_artifacts_lie_where_they_were_asked_to(recorded):
    ((location,),) = rows(recorded / "mlflow.db", "select artifact_uri from runs")
    assert location.startswith((recorded.resolve() / "mlartifacts").as_uri())
    assert list((recorded / "mlartifacts").rglob("model.yaml"))


def test_no_case_is_named(recorded):
    content = (recorded / "mlflow.db").read_bytes()
    assert b"case_0" not in content
    kept = list((recorded / "mlartifacts").rglob("config.yaml"))
    assert kept
    assert all(b"case_0" not in path.read_bytes() for path in kept)


def test_a_run_goes_on_under_its_own_id(tmp_path):
    first = Tracker(tmp_path, name="run", parameters={"a": 1})
    first.log({"loss": 2.0}, 0)
    first.end("KILLED")
    second = Tracker(tmp_path, name="run", parameters={"a": 1}, run_id=first.run_id)
    second.log({"loss": 1.0}, 1)
    second.end()
    assert second.run_id == first.run_id
    assert rows(tmp_path / "mlflow.db", "select step, value from metrics order by step") == [(0, 2.0), (1, 1.0)]
    assert rows(tmp_path / "mlflow.db", "select status from runs") == [("FINISHED",)]


def test_the_environment_names_another_place(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    Tracker(tmp_path / "out", name="run", parameters={}).end()
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "out" / "mlflow.db").exists()


def test_a_place_that_is_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    with pytest.raises(InputError, match="nonsense://nowhere"):
        Tracker(tmp_path, name="run", parameters={})
