"""`--from` a file of weights that is no model package."""

import pytest
import torch
from monai.networks.nets import SegResNet

from medseg.errors import ConfigError, ModelError
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions
from medseg.training.run import train

LICENSE = "pretrained.license=CC-BY-NC-4.0"
FEW = ["iterations_per_epoch=1", "split.folds=3", "tracking=false", "precision=fp32"]


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(2)
    network = SegResNet(blocks_down=[1, 1], blocks_up=[1], init_filters=8, out_channels=32)
    torch.save({"net": {f"module.{name}": value for name, value in network.state_dict().items()}}, tmp_path / "s.pth")
    return tmp_path / "s.pth"


def configured(balls, weights, *settings, configuration=None, **options):
    out = weights.parent / "out"
    given = TrainOptions(balls, out, start=weights, epochs=1, device="cpu", settings=settings, **options)
    return Configurator(given).config(None, configuration)


def test_network_preparation_and_schedule_are_the_authors(balls, weights):
    config = configured(balls, weights, LICENSE)
    assert config.network.name == "segresnet"
    assert config.network.arguments == {"width": 8, "blocks_down": [1, 1]}
    assert config.input.spacing == (1.5, 1.5, 1.5)
    assert [c.normalization.scheme for c in config.input.channels] == ["rescale"]
    assert (config.optimizer.name, config.optimizer.learning_rate, config.optimizer.warm_up) == ("adamw", 1e-4, 0.1)
    assert all(n % 2 == 0 for n in config.input.patch)
    assert config.start is None
    assert len(config.pretrained.sha256) == 64


def test_what_a_person_states_is_kept(balls, weights, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("optimizer: {learning_rate: 0.5}\ninput: {spacing: [2, 2, 2]}\npretrained: {license: X}\n")
    config = configured(balls, weights, config=file)
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("adamw", 0.5)
    assert config.input.spacing == (2, 2, 2)
    assert configured(balls, weights, LICENSE, "optimizer.name=sgd").optimizer.name == "sgd"


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ((), {}, "license of the weights is not stated"),
        ((LICENSE,), {"configuration": "2d"}, "3D network"),
    ],
)
def test_what_cannot_be_is_refused(balls, weights, settings, options, message):
    with pytest.raises(ConfigError, match=message):
        configured(balls, weights, *settings, **options)


def test_a_license_without_a_file_is_refused(balls, tmp_path):
    with pytest.raises(ConfigError, match="names no file"):
        Configurator(TrainOptions(balls, tmp_path, epochs=1, device="cpu", settings=(LICENSE,)))


def test_a_run_says_where_its_weights_come_from_and_refuses_another_file(balls, weights, tmp_path):
    settings = [LICENSE, *FEW, "optimizer.learning_rate=1e-12", "ema_decay=0"]
    package = train(balls, tmp_path / "run", start=weights, epochs=1, device="cpu", settings=settings)
    training = package.card.training
    assert training.license.endswith("license: CC-BY-NC-4.0")
    assert training.parent.startswith("s.pth (sha256 ")
    assert training.duration.startswith("from the weights of s.pth, ")
    theirs = {k.removeprefix("module."): v for k, v in torch.load(weights, weights_only=True)["net"].items()}
    found = package.weights()
    same = [
        name
        for name in theirs
        if found[name].shape == theirs[name].shape and torch.allclose(found[name], theirs[name], atol=1e-6)
    ]
    assert set(theirs) - set(same) == {"conv_final.2.conv.weight", "conv_final.2.conv.bias"}
    changed = torch.load(weights, weights_only=True)
    changed["net"]["module.convInit.conv.weight"] += 1
    torch.save(changed, weights)
    with pytest.raises(ConfigError, match="pretrained"):
        train(balls, tmp_path / "run", start=weights, epochs=2, device="cpu", settings=settings)


def test_a_file_that_changed_under_a_run_is_refused(balls, weights):
    from medseg.models.registry import build_network
    from medseg.training.weights_start import load_weights

    config = configured(balls, weights, LICENSE)
    network = build_network("segresnet", channels=1, classes=3, dimensions=3, arguments=config.network.arguments)
    load_weights(network, config.pretrained)
    with pytest.raises(ModelError, match="not the one"):
        load_weights(network, config.pretrained.model_copy(update={"sha256": "0" * 64}))
