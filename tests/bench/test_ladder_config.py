import pytest

from medseg import resources
from medseg.bench.ladder_config import Ladder, merge, read_ladder
from medseg.errors import ConfigError

SHIPPED = {name: path for name, path in resources.shipped("configs").items() if name.startswith("ladder-")}


def test_ladders_are_shipped():
    assert set(SHIPPED) == {"ladder-membranes", "ladder-hippocampus"}


@pytest.mark.parametrize("path", SHIPPED.values(), ids=SHIPPED)
def test_every_rung_of_a_shipped_ladder_is_a_training_configuration_and_its_command_names_it(path):
    ladder = read_ladder(path)
    names = {rung.name for rung in ladder.rungs}
    assert {"sliding-windows", "full-resolution", "unet-concat", "pretrained", "dynunet"} <= names
    assert f"--config {path.stem}" in path.read_text().splitlines()[0]
    sliding = next(rung for rung in ladder.rungs if rung.name == "sliding-windows")
    config = ladder.configuration(sliding, 60.0)
    assert config.network.arguments.get("mode", "sliding") == "sliding"
    assert config.time_budget == 60.0
    assert config.epochs is None


@pytest.mark.parametrize("path", SHIPPED.values(), ids=SHIPPED)
def test_patches_of_a_shipped_ladder_fit_their_networks(path):
    import torch

    from medseg.models.registry import build_network

    ladder = read_ladder(path)
    for rung in ladder.rungs:
        config = ladder.configuration(rung, 60.0)
        if config.network.name in ("dynunet", "segresnet", "mednext", "vnet", "swinunetr", "unetr"):
            continue  # MONAI's import takes seconds; tests/models has its networks
        with torch.device("meta"):
            network = build_network(
                config.network.name,
                channels=1,
                classes=2,
                dimensions=config.network.dimensions,
                arguments=config.network.arguments,
            )
        for size, multiple in zip(config.input.patch, network.multiple, strict=False):
            assert size % multiple == 0, rung.name


def test_merge_goes_key_by_key_and_starts_a_network_of_another_name_afresh():
    base = {"a": 1, "network": {"name": "unet", "dimensions": 2, "arguments": {"features": [1], "skip": "add"}}}
    same = merge(base, {"network": {"arguments": {"skip": "none"}}})
    assert same["network"]["arguments"] == {"features": [1], "skip": "none"}
    other = merge(base, {"network": {"name": "fcn", "arguments": {"head": "8s"}}})
    assert other["network"] == {"name": "fcn", "dimensions": 2, "arguments": {"head": "8s"}}
    assert base["network"]["arguments"]["skip"] == "add"


def _values(**changes):
    train = {"input": {"channels": [{"name": "a"}], "patch": [16, 16, 1]}, "network": {"name": "unet", "dimensions": 2}}
    return {"name": "x", "title": "X", "tolerance": 1, "train": train, "rungs": [{"name": "a"}], **changes}


def test_mistakes_are_named(tmp_path):
    path = tmp_path / "ladder.yaml"

    def read(**changes):
        import yaml

        path.write_text(yaml.safe_dump(_values(**changes)))
        return read_ladder(path)

    assert isinstance(read(), Ladder)
    with pytest.raises(ConfigError, match="two rungs are called a"):
        read(rungs=[{"name": "a"}, {"name": "a"}])
    with pytest.raises(ConfigError, match="names the rung 'b', which there is not"):
        read(claims=[{"says": "s", "better": "a", "worse": "b"}])
    with pytest.raises(ConfigError, match=r"rung a: unknown key 'sampling\.bach'"):
        read(rungs=[{"name": "a", "train": {"sampling": {"bach": 1}}}])
