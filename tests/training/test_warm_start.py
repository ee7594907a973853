import logging
import shutil

import pytest
import torch
from tiny_dataset import train_config

from medseg.errors import ConfigError, ModelError
from medseg.models.package import load_package, write_package
from medseg.models.registry import build_network
from medseg.tracking import resolve
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions
from medseg.training.run import train
from medseg.training.warm_start import load_start, start_values


@pytest.fixture(scope="module")
def package(balls, tmp_path_factory):
    out = tmp_path_factory.mktemp("start")
    return train(balls, out, config=train_config(epochs=8), device="cpu")


def network(classes, features=(4, 8)):
    torch.manual_seed(7)
    arguments = {"features": list(features), "deep_supervision": True, "dropout": 0.1}
    return build_network("unet", channels=1, classes=classes, dimensions=3, arguments=arguments)


def loaded(package, rows, **changes):
    new = network(len(rows), **changes)
    load_start(new, package, rows, lambda classes: network(classes, **changes))
    return new.state_dict()


def test_every_weight_is_that_of_the_package(package):
    weights = package.weights()
    assert all(value.equal(weights[name]) for name, value in loaded(package, [0, 1, 2]).items())


def test_objects_keep_borders_as_wide_as_the_packages():
    nuclei = load_package("nuclei")
    assert start_values(nuclei, "nuclei")["border_mm"] == nuclei.card.training.border_mm is not None
    assert "border_mm" not in start_values(load_package("hippocampus"), "hippocampus")


def test_outputs_are_matched_and_only_others_start_at_random(package, caplog):
    """Classes dark, bright and three new ones, where the package has bright and dark."""
    rows = [0, 2, 1, None, None]
    with caplog.at_level(logging.INFO, logger="medseg.train"):
        state = loaded(package, rows)
    weights, before = package.weights(), network(5).state_dict()
    heads = [name for name, value in state.items() if value.shape != weights[name].shape]
    assert heads
    assert all(".heads." in name for name in heads)
    for name, value in state.items():
        if name not in heads:
            assert value.equal(weights[name])
            continue
        for row, source in enumerate(rows):
            assert value[row].equal(before[name][row] if source is None else weights[name][source])
    assert "2 of 5 outputs start at random" in caplog.text


def test_as_many_classes_of_other_names_do_not_take_over_outputs(package):
    state, weights, before = loaded(package, [0, None, None]), package.weights(), network(3).state_dict()
    heads = [name for name in state if ".heads." in name]
    assert all(state[name][1:].equal(before[name][1:]) and state[name][0].equal(weights[name][0]) for name in heads)


def test_another_network_is_refused(package):
    for features in ((4, 16), (4, 8, 8)):
        with pytest.raises(ModelError, match="of another network"):
            loaded(package, [0, 1, 2], features=features)


def test_a_run_from_a_package_begins_where_it_ended(balls, package, tmp_path):
    """With hardly any learning rate, one step from the package still scores like it; from nothing it does not."""
    settings = ["split.folds=3", "iterations_per_epoch=1", "optimizer.learning_rate=1e-9", "ema_decay=0", "seed=3",
                "tracking=false", "precision=fp32", "mirror=none"]  # fmt: skip
    options = TrainOptions(balls, tmp_path, None, epochs=1, device="cpu", start=package.folder, settings=settings)
    chosen = Configurator(options).config(tmp_path / "a")
    assert chosen.input.patch == package.card.input.patch
    assert chosen.network == package.card.network
    tuned = train(balls, tmp_path / "a", config=chosen, device="cpu")
    assert tuned.card.validation.mean_dice == pytest.approx(package.card.validation.mean_dice, abs=1e-3)
    assert tuned.card.training.duration.startswith("from the weights of model, ")
    assert load_package(tmp_path / "a" / "model").card.input.mirror_axes == (0,)
    fresh = chosen.model_copy(update={"start": None})
    scratch = train(balls, tmp_path / "b", config=fresh, device="cpu")
    assert scratch.card.validation.mean_dice < package.card.validation.mean_dice - 0.1


def test_the_package_is_found_once_and_a_resumed_run_keeps_to_it(balls, package, tmp_path, monkeypatch):
    """What a name means may change while a run lasts; its card must not name other weights than it started from."""
    start = tmp_path / "start"
    shutil.copytree(package.folder, start)
    found = []
    monkeypatch.setattr(resolve, "load_package", lambda name: found.append(name) or load_package(name))
    config = train_config(iterations_per_epoch=1, split={"folds": 1}, start=str(start))
    options = {"config": config, "start": start, "device": "cpu"}
    train(balls, tmp_path / "out", epochs=1, **options)
    assert found == [start]
    write_package(start, package.card, {name: value * 2 for name, value in package.weights().items()})
    with pytest.raises(ConfigError, match="started from other weights"):
        train(balls, tmp_path / "out", epochs=2, **options)
