"""What MLflow keeps of a run: the model, plan, configuration, report and tables; no case, no path, no figure."""

import csv
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml
from tiny_dataset import tiny_config, write_msd

from medseg.models.package import load_package
from medseg.tracking import register as registering
from medseg.tracking.register import register
from medseg.tracking.resolve import resolve_model
from medseg.training.run import train

# SQLAlchemy about a relation of MLflow's tables.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")

SHORT = {"epochs": 1, "tracking": True, "split": {"folds": 3}}


def rows(database: Path, query: str) -> list[tuple]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(autouse=True)
def _one_store(store, monkeypatch):
    """Training and registry share a place, as on a server."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
    monkeypatch.setenv("MEDSEG_HOME", str(store / "home"))
    monkeypatch.chdir(store)


@pytest.fixture(scope="module")
def recorded(store, tmp_path_factory) -> tuple[Path, Path]:
    """A planned run that skips one case, and its artifacts."""
    dataset = write_msd(tmp_path_factory.mktemp("secret-folder") / "set")
    (dataset / "imagesTr" / "case_05.nii.gz").write_bytes(b"no image")
    out = tmp_path_factory.mktemp("secret-out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
        patch.chdir(store)
        values = {k: v for k, v in tiny_config(**SHORT).items() if k not in ("input", "network", "augment")}
        (out / "small.yaml").write_text(yaml.safe_dump(values))
        changes = ["network.arguments={features: [4, 8], deep_supervision: false}", "input.patch=[16, 16, 16]"]
        train(dataset, out / "run", config=out / "small.yaml", settings=changes, device="cpu")
    run_id = load_package(out / "run" / "model").card.training.run
    ((location,),) = rows(store / "mlflow.db", f"select artifact_uri from runs where run_uuid = '{run_id}'")
    path = location.removeprefix("file://")
    return out / "run", store / path


def test_weights_plan_report_and_tables_are_artifacts(recorded):
    out, artifacts = recorded
    found = {str(path.relative_to(artifacts)) for path in artifacts.rglob("*") if path.is_file()}
    assert {"model/model.yaml", "model/weights.safetensors", "plan.yaml", "config.yaml", "report.html"} <= found
    assert "validation.csv" in found
    assert not [name for name in found if name.startswith(".")]
    kept, made = load_package(artifacts / "model"), load_package(out / "model")
    assert kept.card.weights_sha256 == made.card.weights_sha256
    assert kept.weights().keys() == made.weights().keys()
    with (artifacts / "validation.csv").open() as here, (out / "validation.csv").open() as there:
        a, b = list(csv.DictReader(here)), list(csv.DictReader(there))
    assert [row["value"] for row in a] == [row["value"] for row in b]
    assert {row["case_id"] for row in a} == {f"case {n + 1}" for n in range(len({row["case_id"] for row in b}))}
    assert "mean Dice" in (artifacts / "report.html").read_text()


def test_no_case_no_path_and_no_figure_is_recorded(recorded, store):
    out, artifacts = recorded
    files = [path for path in artifacts.rglob("*") if path.is_file()]
    for path in (*files, store / "mlflow.db"):
        content = path.read_bytes()
        for secret in (b"case_0", b"secret-folder", b"secret-out", b"imagesTr", b"site-packages"):
            assert secret not in content, f"{secret!r} in {path.name}"
    assert not [path for path in files if path.suffix == ".png"]
    assert "data:image/png" not in (artifacts / "report.html").read_text()
    assert "data:image/png" in (out / "report.html").read_text()


def test_figures_are_recorded_where_they_are_asked_for(store, tmp_path, recorded):
    dataset = write_msd(tmp_path / "set")
    from tiny_dataset import train_config

    package = train(dataset, tmp_path / "out", config=train_config(**SHORT, tracking_figures=True), device="cpu")
    (artifacts,) = store.rglob(f"{package.card.training.run}/artifacts")
    assert len(list(artifacts.rglob("worst-*.png"))) == 2
    assert "data:image/png" in (artifacts / "report.html").read_text()
    assert "case_0" not in (artifacts / "report.html").read_text()


def test_a_registered_version_belongs_to_its_run_and_a_fine_tuned_one_names_its_parent(recorded, store, tmp_path):
    from tiny_dataset import train_config

    out, _ = recorded
    parent = load_package(out / "model")
    register(parent, "balls")
    version = "select run_id from model_versions where name = 'balls' and version = 1"
    assert rows(store / "mlflow.db", version) == [(parent.card.training.run,)]
    assert resolve_model("models:/balls@champion").card.weights_sha256 == parent.card.weights_sha256
    dataset = write_msd(tmp_path / "set")
    values = parent.card.model_dump(mode="json")
    same = {"input": {k: values["input"][k] for k in ("channels", "patch", "spacing")}, "network": values["network"]}
    tuned = train(
        dataset, tmp_path / "tuned", config=train_config(**SHORT, **same), start=str(parent.folder), device="cpu"
    )
    assert tuned.card.training.parent == str(parent.identity)
    tags = dict(rows(store / "mlflow.db", f"select key, value from tags where run_uuid = '{tuned.card.training.run}'"))
    assert tags["parent_run"] == parent.card.training.run
    assert tags["parent_sha256"] == parent.hash
    parameters = rows(store / "mlflow.db", f"select value from params where run_uuid = '{tuned.card.training.run}'")
    assert not [value for (value,) in parameters if str(out) in value]


def test_a_server_gets_a_copy_without_names(recorded, store, monkeypatch, tmp_path):
    out, _ = recorded
    monkeypatch.setattr(registering, "is_remote", lambda _uri: True)
    folder = tmp_path / "named"
    shutil.copytree(out / "model", folder)
    register(load_package(folder), "for others")
    found = resolve_model("models:/for others@champion")
    assert found.card.weights_sha256 == load_package(folder).card.weights_sha256
    assert len(found.card.training.trained_on) == found.card.training.cases
    for path in found.folder.rglob("*"):
        if path.is_file():
            assert b"case_0" not in path.read_bytes()
            assert b"secret" not in path.read_bytes()
