"""Classes are called whatever their makers chose; MLflow's names of parameters and metrics follow rules."""

import json
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_dataset import train_config, write_msd

from medseg.tracking.names import with_valid_names
from medseg.tracking.runs import record_finished
from medseg.training.run import train

ODD = ("tumor (core) & edema", "tumor [core] + edema, <5 mm", "../../left")
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@given(st.dictionaries(st.text(min_size=1, max_size=300), st.integers(), max_size=8))
def test_mlflow_takes_every_name_and_no_value_is_lost(values):
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    named = with_valid_names(values)
    assert list(named.values()) == list(values.values())
    for name in named:
        _validate_metric_name(name)
        _validate_param_name(name)


def test_names_that_are_allowed_stay(tmp_path):
    for name in ("dice.liver", "loss", "evaluation/nsd_at_2mm/mean/liver", "spleen 2", "foie gras - é"):
        assert list(with_valid_names({name: 1})) == [name]
    assert list(with_valid_names({"a(": 1, "a)": 2, "a_": 3})) == ["a_ 2", "a_ 3", "a_"]


def test_a_training_ends_well_whatever_its_classes_are_called(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    dataset = write_msd(tmp_path / "data", cases=5)
    description = json.loads((dataset / "dataset.json").read_text())
    description["labels"] = {"0": "background", "1": ODD[0], "2": ODD[1]}
    (dataset / "dataset.json").write_text(json.dumps(description))
    train(dataset, tmp_path / "run", config=train_config(tracking=True), device="cpu")
    with sqlite3.connect(tmp_path / "run" / "mlflow.db") as connection:
        metrics = {name for (name,) in connection.execute("select distinct key from metrics")}
        assert connection.execute("select status from runs").fetchall() == [("FINISHED",)]
    assert {"dice.tumor _core_ _ edema", "dice.tumor _core_ _ edema_ _5 mm"} <= metrics


def test_a_batch_is_recorded_with_odd_names(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for _ in range(2):  # by MLflow where there is no template of a database yet, then without it
        record_finished(
            tmp_path, name="batch", parameters=dict.fromkeys(ODD, "1"), tags={}, metrics=dict.fromkeys(ODD, 1.0)
        )
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert len(connection.execute("select distinct key from params").fetchall()) == 3
        assert connection.execute("select count(*) from params").fetchall() == [(6,)]
