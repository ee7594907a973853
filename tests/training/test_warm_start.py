import logging

import pytest
import torch
from tiny_dataset import train_config

from medseg.errors import ModelError
from medseg.models.package import load_package
from medseg.models.registry import build_network
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions
from medseg.training.run import train
from medseg.training.warm_start import load_start


@pytest.fixture(scope="module")
def package(balls, tmp_path_factory):
    out = tmp_path_factory.mktemp("start")
    return train(balls, out, config=train_config(epochs=8), device="cpu")


def network(classes, features=(4, 8)):
    torch.manual_seed(7)
    arguments = {"features": list(features), "deep_supervision": True, "dropout": 0.1}
    return build_network("unet", channels=1, classes=classes, dimensions=3, arguments=arguments)


def test_every_weight_is_that_of_the_package(package):
    new = network(3)
    load_start(new, str(package.folder), classes=3)
    weights = package.weights()
    assert all(value.equal(weights[name]) for name, value in new.state_dict().items())


def test_with_other_classes_only_the_heads_start_at_random(package, caplog):
    new, untouched = network(5), network(5)
    with caplog.at_level(logging.INFO, logger="medseg.train"):
        load_start(new, str(package.folder), classes=5)
    weights, before = package.weights(), untouched.state_dict()
    fresh = [name for name, value in new.state_dict().items() if value.shape != weights[name].shape]
    assert fresh
    assert all(".heads." in name for name in fresh)
    for name, value in new.state_dict().items():
        assert value.equal(before[name] if name in fresh else weights[name])
    assert f"{len(fresh)} output tensors of the 5 classes start at random" in caplog.text


def test_another_network_is_refused(package):
    with pytest.raises(ModelError, match="of another network"):
        load_start(network(3, features=(4, 16)), str(package.folder), classes=3)
    with pytest.raises(ModelError, match="of another network"):
        load_start(network(3, features=(4, 8, 8)), str(package.folder), classes=3)


def test_a_run_from_a_package_begins_where_it_ended(balls, package, tmp_path):
    """With hardly any learning rate, one step from the package still scores like it; from nothing it does not."""
    settings = ["split.folds=3", "iterations_per_epoch=1", "optimizer.learning_rate=1e-9", "ema_decay=0", "seed=3",
                "tracking=false", "precision=fp32"]  # fmt: skip
    options = TrainOptions(balls, tmp_path, None, epochs=1, device="cpu", start=package.folder, settings=settings)
    chosen = Configurator(options).config(tmp_path / "a")
    assert chosen.input.patch == package.card.input.patch
    assert chosen.network == package.card.network
    tuned = train(balls, tmp_path / "a", config=chosen, device="cpu")
    assert tuned.card.validation.mean_dice == pytest.approx(package.card.validation.mean_dice, abs=0.01)
    assert tuned.card.training.duration.startswith("from the weights of model, ")
    assert load_package(tmp_path / "a" / "model").card.input.mirror_axes == (0,)
    fresh = chosen.model_copy(update={"start": None})
    scratch = train(balls, tmp_path / "b", config=fresh, device="cpu")
    assert scratch.card.validation.mean_dice < package.card.validation.mean_dice - 0.1
