import pytest
import torch
import yaml

from medseg import resources
from medseg.bench.architectures_config import Architectures, merge, read_architectures
from medseg.errors import ConfigError
from medseg.models.registry import build_network

SHIPPED = {name: path for name, path in resources.shipped("configs").items() if name.startswith("architectures-")}


def test_comparisons_are_shipped():
    assert set(SHIPPED) == {"architectures-membranes", "architectures-hippocampus"}


@pytest.mark.parametrize("path", SHIPPED.values(), ids=SHIPPED)
def test_every_architecture_of_a_shipped_comparison_is_a_training_configuration_and_its_command_names_it(path):
    architectures = read_architectures(path)
    named = {architecture.name: architecture for architecture in architectures.architectures}
    assert {"sliding-windows", "full-resolution", "unet-concat", "pretrained", "dynunet"} <= named.keys()
    assert f"--config {path.stem}" in path.read_text().splitlines()[0]
    config = architectures.configuration(named["sliding-windows"], 60.0)
    assert config.network.arguments.get("mode", "sliding") == "sliding"
    assert config.time_budget == 60.0
    assert config.epochs is None


@pytest.mark.parametrize("path", SHIPPED.values(), ids=SHIPPED)
def test_patches_of_a_shipped_comparison_fit_their_networks(path):
    architectures = read_architectures(path)
    for architecture in architectures.architectures:
        config = architectures.configuration(architecture, 60.0)
        if config.network.name in ("dynunet", "segresnet", "mednext", "vnet", "swinunetr", "unetr"):
            continue  # MONAI's import takes seconds; tests/models has its networks
        made = config.network.model_dump(include={"dimensions", "arguments"})
        with torch.device("meta"):
            network = build_network(config.network.name, channels=1, classes=2, **made)
        for size, multiple in zip(config.input.patch, network.multiple, strict=False):
            assert size % multiple == 0, architecture.name


def test_merge_goes_key_by_key_and_starts_a_network_of_another_name_afresh():
    base = {"a": 1, "network": {"name": "unet", "dimensions": 2, "arguments": {"features": [1], "skip": "add"}}}
    same = merge(base, {"network": {"arguments": {"skip": "none"}}})
    assert same["network"]["arguments"] == {"features": [1], "skip": "none"}
    other = merge(base, {"network": {"name": "fcn", "arguments": {"head": "8s"}}})
    assert other["network"] == {"name": "fcn", "dimensions": 2, "arguments": {"head": "8s"}}
    assert base["network"]["arguments"]["skip"] == "add"


def _values(**changes):
    train = {"input": {"channels": [{"name": "a"}], "patch": [16, 16, 1]}, "network": {"name": "unet", "dimensions": 2}}
    return {"name": "x", "title": "X", "tolerance": 1, "train": train, "architectures": [{"name": "a"}], **changes}


def test_mistakes_are_named(tmp_path):
    path = tmp_path / "architectures.yaml"

    def read(**changes):
        path.write_text(yaml.safe_dump(_values(**changes)))
        return read_architectures(path)

    assert isinstance(read(), Architectures)
    with pytest.raises(ConfigError, match="two architectures are called a"):
        read(architectures=[{"name": "a"}, {"name": "a"}])
    with pytest.raises(ConfigError, match="names the architecture 'b', which does not exist"):
        read(claims=[{"statement": "s", "better": "a", "worse": "b"}])
    with pytest.raises(ConfigError, match=r"architecture a: unknown key 'sampling\.bach'"):
        read(architectures=[{"name": "a", "train": {"sampling": {"bach": 1}}}])
