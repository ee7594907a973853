"""A model registered with MLflow is found by its alias wherever a model is named, and holds no pickle."""

import shutil
from pathlib import Path

import pytest
from tiny_dataset import train_config

from medseg.cli.app import run
from medseg.errors import InputError, ModelError, UsageError
from medseg.tracking.register import register
from medseg.tracking.resolve import resolve_model
from medseg.training.run import train


@pytest.fixture(scope="module")
def package(balls, tmp_path_factory):
    out = tmp_path_factory.mktemp("registered")
    return train(balls, out, config=train_config(epochs=1, split={"folds": 1}), device="cpu")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_a_registered_model_is_the_same_package(package, home, balls, tmp_path, capsys, recwarn):
    assert run(["models", "register", str(package.folder), "--name", "balls"]) == 0
    assert capsys.readouterr().out.strip() == "models:/balls@champion"
    assert not [one for one in recwarn if "type hints" in str(one.message)]
    found = resolve_model("models:/balls@champion")
    assert found.hash == package.hash
    assert resolve_model("models:/balls/1").folder == found.folder
    assert found.weights().keys() == package.weights().keys()
    scan = next((balls / "imagesTr").iterdir())
    names = {path.name for path in home.rglob("*") if path.is_file()}
    assert "python_model.pkl" not in names
    assert not any(name.endswith((".pkl", ".pickle", ".pt", ".pth")) for name in names)
    # The alias moves to the next version, and the first stays.
    again = register(package, "balls")
    with pytest.raises(UsageError, match="Did you mean 'balls'"):
        resolve_model("models:/ball@champion")
    with pytest.raises(UsageError, match="models:/balls@nobody: "):
        resolve_model("models:/balls@nobody")
    assert resolve_model(again).hash == package.hash
    assert resolve_model("models:/balls/2").folder != resolve_model("models:/balls/1").folder
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{home / 'mlflow.db'}")
    labels = mlflow.pyfunc.load_model("models:/balls@champion").predict([str(scan)])
    assert labels[0].shape == (20, 18, 14)


def test_what_is_not_there_is_named(package, home):
    with pytest.raises(UsageError, match=r"models:/balls@champion: MLflow at .* has no such model"):
        resolve_model("models:/balls@champion")
    for wrong in ("models:/balls", "models:/@champion", "models:/../x@y"):
        with pytest.raises(UsageError):
            resolve_model(wrong)
    with pytest.raises(UsageError, match="--name"):
        register(package, "../balls")


def test_a_server_that_cannot_be_reached_is_no_wrong_name(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match="MLflow could not be asked"):
        resolve_model("models:/balls@champion")


def test_a_damaged_package_is_not_registered(package, home, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(package.folder, folder)
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError):
        register(resolve_model(folder), "balls")
