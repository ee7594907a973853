import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from pydantic import BaseModel, ConfigDict
from torch import nn

from medseg.errors import ConfigError, MissingDependency, ModelError
from medseg.models import registry
from medseg.models.family import NetworkFamily, require
from medseg.models.registry import build_network, find_family, load_pretrained, network_names


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 2


def _build(channels, classes, dimensions, arguments):
    network = nn.Conv2d(channels, classes, 1) if dimensions == 2 else nn.Conv3d(channels, classes, 1)
    network.multiple = (1,) * dimensions
    network.width = arguments.width
    return network


THEIRS = NetworkFamily(_Arguments, _build)


@pytest.fixture
def installed(monkeypatch):
    """Pretend that a package brings networks under these names."""

    def install(*names):
        points = [EntryPoint(name, f"{__name__}:THEIRS", registry.ENTRY_POINTS) for name in names]
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "medseg.networks" else [])

    sys.modules.setdefault(__name__, sys.modules[__name__])
    return install


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"no network called 'u-net'.*sliding_window_classifier.*unet.*unetr"):
        build_network("u-net", channels=1, classes=2, dimensions=3)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("unet", {"featrues": [8, 16]}, "network unet: unknown key 'featrues'.*Known keys there: features"),
        ("unet", {"features": [8, 0]}, "network unet: features: must be at least 1, not 0"),
        ("unet", {"features": [8]}, "network unet: features"),
        ("unet", {"norm": "layer"}, "network unet: norm.*'layer'"),
        ("unet", {"features": [8, 16], "strides": [1, 2, 2]}, "network unet: strides: 3 strides for 2 stages"),
        ("unet", {"features": [8, 16], "strides": [1, [2, 2]]}, "network unet: strides:.*3 dimensions need 3"),
        ("unet", {"features": [8, 16], "strides": [2, 2]}, "network unet: strides: the stride of the first level"),
        ("unet", {"features": [8, 16], "kernels": [3, 4]}, "network unet: kernels:.*even"),
        ("unet", {"features": [8, 16], "kernels": [3]}, "network unet: kernels: 1 kernels for 2 stages"),
        ("unet", {"features": [8, 16], "blocks": [1]}, "network unet: blocks: 1 numbers for 2 stages"),
        (
            "unet",
            {"features": [8, 16], "decoder_blocks": [1, 1]},
            "network unet: decoder_blocks: 2 numbers for 1 stages",
        ),
        ("unet", {"upsampling": "max_unpool", "downsampling": "strided"}, "network unet: downsampling:"),
        ("unet", {"dropout": 1.0}, "network unet: dropout"),
        ("fcn", {"features": [4, 4], "head": "32s"}, "head: 32s with 2 stages; it can be 2s, 4s"),
        ("fcn", {"upsampling": "max_unpool"}, "upsampling"),
        ("fcn_full_resolution", {"kernel": 4}, "kernel: a kernel of even size"),
        ("fcn_full_resolution", {"dilations": [1, 2]}, "dilations: 2 for 6"),
        ("deconvnet", {"bottleneck_kernel": 2}, "bottleneck_kernel"),
        ("sliding_window_classifier", {"mode": "fast"}, "mode"),
        ("pretrained_unet", {"weights": "medicalnet"}, "published for efficientnet_lite0 are imagenet"),
        ("pretrained_unet", {"depth": 3, "features": [8]}, "features: 1 numbers for a depth of 3"),
    ],
)
def test_a_wrong_argument_is_named(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        build_network(name, channels=1, classes=2, dimensions=3, arguments=arguments)


@pytest.mark.parametrize(
    ("changed", "where"),
    [({"dimensions": 4}, "dimensions"), ({"channels": 0}, "channels"), ({"classes": 1}, "classes")],
)
def test_impossible_sizes_are_named(changed, where):
    with pytest.raises(ConfigError, match=where):
        build_network("unet", **{"channels": 1, "classes": 2, "dimensions": 3, **changed})


def test_installed_packages_add_networks(installed):
    installed("mynet")
    assert "mynet" in network_names()
    network = build_network("mynet", channels=1, classes=2, dimensions=2, arguments={"width": 5})
    assert network.width == 5
    with pytest.raises(ConfigError, match="network mynet: unknown key"):
        build_network("mynet", channels=1, classes=2, dimensions=2, arguments={"depth": 5})


def test_a_name_claimed_twice_is_refused_rather_than_chosen(installed):
    installed("unet")
    with pytest.raises(ModelError, match="'unet' is defined more than once"):
        find_family("unet")


def test_an_entry_point_that_is_no_network_is_refused(monkeypatch):
    point = EntryPoint("odd", "math:pi", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(ModelError, match=r"math:pi.*not a NetworkFamily"):
        find_family("odd")


def test_a_missing_package_names_its_extra():
    with pytest.raises(MissingDependency, match=r"medseg\[transformers\]"):
        require("a_package_nobody_has", extra="transformers", needed_by="network swinunetr")


def test_load_pretrained_leaves_other_networks_alone():
    network = build_network("unet", channels=1, classes=2, dimensions=2, arguments={"features": [4, 8]})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_pretrained(network)
    assert all(before[name].equal(value) for name, value in network.state_dict().items())


def test_asking_for_one_network_does_not_import_monai_or_the_others():
    code = (
        "import sys; from medseg.models.registry import build_network;"
        "build_network('unet', channels=1, classes=2, dimensions=2, arguments={'features': [2, 4]});"
        "print([m for m in sys.modules if m.startswith('monai') or m == 'medseg.models.networks.fcn'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
