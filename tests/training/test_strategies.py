"""`--configuration`: cascades in one command, and the choice among configurations."""

import json
from dataclasses import replace

import pytest
import yaml
from tiny_dataset import tiny_config

from medseg.cli.app import run
from medseg.infer.predictor import Predictor
from medseg.io.read import load_scan
from medseg.models.package import load_package
from medseg.training import strategies
from medseg.training.configure import Configurator
from medseg.training.selection.configuration_choice import choose_configuration

BOTH = "2d+3d_fullres"
NETWORK = {"name": "unet", "arguments": {"features": [6, 12]}}


@pytest.fixture
def planned(monkeypatch):
    """Plans as small as the dataset, for which nnU-Net's rules know no low resolution; real plans are test_plan's."""
    asked = []

    def plan(_configurator, _out, configuration):
        asked.append(configuration)
        spacing = [2.0, 2.0, 2.0] if configuration == "3d_lowres" else [1.0, 1.0, 1.0]
        patch = [8, 8, 8] if configuration == "3d_lowres" else [16, 16, 16]
        given = {"input": {"channels": [{"name": "MR"}], "spacing": spacing, "patch": patch}, "network": NETWORK}
        if configuration == "2d":
            given["input"] |= {"spacing": [1.0, 1.0, None], "patch": [16, 16, 1]}
            given["network"] = {**NETWORK, "dimensions": 2}
        return given

    monkeypatch.setattr(Configurator, "_planned", plan)
    return asked


@pytest.fixture
def command(balls, planned, tmp_path):
    """Training on it, by a recipe that leaves network and input to the plan."""
    values = {key: value for key, value in tiny_config(epochs=2).items() if key not in ("input", "network")}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    out = str(tmp_path / "out")
    return ["train", str(balls), "--config", str(path), "--out", out, "--device", "cpu", "--quiet"]


@pytest.mark.slow
def test_a_cascade_is_one_command(planned, command, tmp_path):
    out = tmp_path / "out"
    assert run([*command, "--configuration", "cascade"]) == 0
    assert planned == ["3d_lowres", "3d_fullres"]
    package = load_package(out / "model")
    assert package.card.low_resolution_stage.labels == (1, 2)
    assert set(package.card.training.held_out) <= set(package.low_resolution_stage.card.training.held_out)
    assert package.card.validation.cases == 2
    assert load_package(out / "3d_lowres" / "model").card.training.cases == 6
    before = (out / "model" / "weights.safetensors").read_bytes()
    assert run([*command, "--configuration", "cascade"]) == 0
    assert (out / "model" / "weights.safetensors").read_bytes() == before


def choosing(monkeypatch, name):
    """Choose a certain one, whatever figures a training of two epochs comes to."""
    monkeypatch.setattr(strategies, "choose_configuration", lambda one: replace(choose_configuration(one), name=name))


def test_configurations_are_compared_and_one_is_packed(balls, command, tmp_path, monkeypatch):
    choosing(monkeypatch, "2d")
    out = tmp_path / "out"
    assert run([*command, "--folds", "all", "--configuration", "2d,3d_fullres", "--final", "ensemble"]) == 0
    summary = json.loads((out / "cross_validation.json").read_text())
    assert list(summary["configurations"]) == ["2d", "3d_fullres", BOTH]
    assert summary["cases"] == 6
    assert [(one["first"], one["second"]) for one in summary["differences"]] == [
        ("2d", "3d_fullres"),
        ("2d", BOTH),
        ("3d_fullres", BOTH),
    ]
    assert {one["cases"] for one in summary["differences"]} == {6}
    card = load_package(out / "model").card
    assert card.composite is None
    assert card.ensemble_members == 3
    assert card.training.cases == 6
    assert card.training.held_out == ()
    assert card.validation.mean_dice == summary["mean_dice"]
    assert all(f"{name} 0." in card.validation.notes for name in summary["configurations"])
    assert "was not measured" in card.validation.notes
    assert card.network.dimensions == 2
    weights = load_package(out / "model").weights()
    own = load_package(out / "2d" / "fold_1" / "model").weights()
    assert all(weights[f"1.{name}"].equal(value) for name, value in own.items())
    assert "2d was chosen" in (out / "cross_validation.html").read_text()
    scan = load_scan(balls / "imagesTr" / "case_00.nii.gz")
    assert Predictor(load_package(out / "model")).segment(scan).labels.geometry.matches(scan.geometry)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--configuration", "2d,4d", "--folds", "all"], "2d,4d: must be one or more of 3d_fullres"),
        (["--configuration", "2d,2d", "--folds", "all"], "named twice"),
        (
            ["--configuration", "2d,3d_fullres"],
            "--configuration 2d,3d_fullres needs cross-validation, which compares configurations. Add --folds all",
        ),
        (
            ["--final", "ensemble", "--folds", "0"],
            "--final ensemble averages the models of cross-validation. Add --folds all",
        ),
        (["--final", "best"], "--final best: must be one of all, ensemble"),
        (["--configuration", "2d", "--config", "hippocampus"], "Omit --configuration"),
    ],
)
def test_what_cannot_be_meant_is_refused(balls, tmp_path, capsys, options, says):
    assert run(["train", str(balls), "--out", str(tmp_path / "out"), "--device", "cpu", *options]) == 2
    assert says in capsys.readouterr().err
