"""Ensembles of two configurations: measured on each fold's held-out cases, and packed where they are chosen."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from tiny_dataset import tiny_config

from medseg.errors import ResourceLimit
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.read import load_scan, read_labels
from medseg.models.card import PostCard
from medseg.models.card_text import card_text
from medseg.models.package import load_package, write_card
from medseg.training import configuration_ensembles as module
from medseg.training import strategies
from medseg.training.configure import Configurator
from medseg.training.run import train
from medseg.training.selection.configuration_choice import choose_configuration
from medseg.training.selection.held_out_volumes import read_volumes

BOTH = "3d_fullres+2d"
PARTS = ("3d_fullres", "2d")


@pytest.fixture(scope="module")
def patched():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def options(balls, patched, tmp_path_factory):
    """Two folds of a 3D and a 2D network, of which the ensemble is taken."""

    def plan(_configurator, _out, configuration):
        flat = configuration == "2d"
        return {
            "input": {"channels": [{"name": "MR"}], "spacing": [1.0, 1.0, None if flat else 1.0]}
            | {"patch": [16, 16, 1] if flat else [16, 16, 16]},
            "network": {"name": "unet", "dimensions": 2 if flat else 3, "arguments": {"features": [4, 8]}},
        }

    patched.setattr(Configurator, "_planned", plan)
    patched.setattr(strategies, "choose_configuration", lambda found: replace(choose_configuration(found), name=BOTH))
    values = {key: value for key, value in tiny_config(epochs=2).items() if key not in ("input", "network")}
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(yaml.safe_dump(values | {"split": {"folds": 2}}))
    return {"config": path, "folds": "all", "configuration": ",".join(PARTS), "device": "cpu"}


@pytest.fixture(scope="module")
def crossed(balls, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("both")
    train(balls, out, **options)
    return out


def probabilities(package, scan):
    options = InferOptions(device="cpu", engine="torch", probabilities=True)
    return Predictor(package, options).segment(scan).probabilities


def test_each_fold_is_measured_by_the_mean_of_its_models_probabilities(balls, crossed):
    cases = set()
    for fold in range(2):
        split = json.loads((crossed / "2d" / f"fold_{fold}" / "split.json").read_text())
        rows = csv.DictReader((crossed / BOTH / f"fold_{fold}" / "validation.csv").read_text().splitlines())
        found = {(row["case_id"], row["class"]): float(row["value"]) for row in rows}
        assert {case for case, _ in found} == set(split["validation"])
        for case in split["validation"]:
            scan = load_scan(balls / "imagesTr" / f"{case}.nii.gz")
            truth = read_labels(balls / "labelsTr" / f"{case}.nii.gz").array
            models = [load_package(crossed / name / f"fold_{fold}" / "model") for name in PARTS]
            labels = np.mean([probabilities(model, scan) for model in models], axis=0).argmax(axis=0)
            for value, name in ((1, "bright"), (2, "dark")):
                overlap = 2 * ((labels == value) & (truth == value)).sum()
                expected = overlap / ((labels == value).sum() + (truth == value).sum())
                assert found[case, name] == pytest.approx(expected, abs=1e-6)
                volumes = read_volumes(crossed / BOTH / f"fold_{fold}" / "validation_volumes.csv")[case][name]
                assert volumes == pytest.approx(((truth == value).sum() / 1000, (labels == value).sum() / 1000))
        cases |= set(split["validation"])
    assert len(cases) == 6


def test_the_package_is_of_both_trained_on_all_cases(crossed):
    package = load_package(crossed / "model")
    card = package.card
    assert (card.name, card.composite.merge) == ("balls", "average")
    assert [entry.name for entry in card.composite.parts] == list(PARTS)
    assert [part.card.network.dimensions for part in package.parts] == [3, 2]
    assert [part.card.training.held_out for part in package.parts] == [(), ()]
    assert [part.card.weights_sha256 for part in package.parts] == [
        load_package(crossed / name / "model").card.weights_sha256 for name in PARTS
    ]
    assert card.training.cases == len(card.training.trained_on) == 6
    assert card.training.held_out == ()
    summary = json.loads((crossed / "cross_validation.json").read_text())
    assert card.validation.mean_dice == summary["mean_dice"]
    assert card.validation.cases == 6
    notes = card.validation.notes
    assert "Measured on 2 ensembles of 3d_fullres and 2d, each on the cases it was not trained on" in notes
    for name, one in summary["configurations"].items():
        assert f"{name} {one['mean_dice']:.4f}" in notes
    assert "slightly too high" in notes
    kept = {name for name, one in summary["configurations"][BOTH]["post"].items() if one["rule"] == "none"}
    interval = card.volume_interval
    assert (set() if interval is None else interval.cases.keys()) == kept
    assert interval is None or "2 ensembles" in interval.measured


def test_what_was_measured_is_not_measured_again_unless_a_model_is_another(balls, options, crossed, monkeypatch):
    measured = []
    real = module.measure_held_out

    def counted(run, *rest):
        measured.append(run.out.name)
        return real(run, *rest)

    monkeypatch.setattr(module, "measure_held_out", counted)
    train(balls, crossed, **options)
    assert measured == []
    model = load_package(crossed / "2d" / "fold_1" / "model")
    write_card(model.folder, model.card.model_copy(update={"mirror": "left-right"}))
    train(balls, crossed, **options)
    assert measured == ["fold_1"]
    assert load_package(crossed / BOTH / "fold_1" / "model").parts[1].card.mirror == "left-right"


def test_the_models_of_the_folds_can_be_averaged_too(balls, options, crossed):
    package = train(balls, crossed, **options, final="ensemble")
    assert [part.card.ensemble_members for part in package.parts] == [2, 2]
    assert package.card.ensemble_members == 1
    assert "This package averages those models" in package.card.validation.notes
    cards = [package.card, *(part.card for part in package.parts)]
    assert all("nor its probabilities calibrated" in card.validation.notes for card in cards)
    whole, *parts = [card_text(card) for card in cards]
    assert "Not calibrated: they are the mean of the parts'." in whole
    assert all("Not calibrated: they are the mean of 2 networks'." in part for part in parts)


def test_an_ensemble_that_memory_does_not_hold_is_not_compared_and_the_card_says_so(
    balls, options, tmp_path, monkeypatch
):
    def too_large(*_):
        raise ResourceLimit("the mean of probabilities needs 90.0 GB of memory, 3.0 GB are free", fix="Buy some.")

    monkeypatch.setattr(module, "measure_held_out", too_large)
    monkeypatch.setattr(strategies, "choose_configuration", choose_configuration)
    card = train(balls, tmp_path / "out", **options).card
    assert card.composite is None
    assert f"Memory did not suffice to measure {BOTH}." in card.validation.notes
    assert not (tmp_path / "out" / BOTH / "fold_0" / "model").exists()


def test_configured_clean_up_is_that_of_the_mean(balls, options, tmp_path):
    post = PostCard(stage="clean-up", options={"rules": [{"rule": "keep_largest", "classes": ["dark"]}]})
    values = yaml.safe_load(options["config"].read_text()) | {"post": [post.model_dump()]}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    package = train(balls, tmp_path / "out", **{**options, "config": path})
    assert package.card.post == (post,)
    assert [part.card.post for part in package.parts] == [(), ()]


def test_time_is_kept_for_the_ensembles_and_for_two_last_trainings(balls, options, tmp_path, monkeypatch):
    runs = []

    def stop(run, _folds):
        runs.append((run.config.time_budget, run.ensembles))
        raise KeyboardInterrupt

    monkeypatch.setattr(strategies, "cross", stop)
    with pytest.raises(KeyboardInterrupt):
        train(balls, tmp_path / "out", **options, time_budget="60s")
    assert runs == [(10.0, 1)]  # two folds of two configurations, and two trainings on all cases
