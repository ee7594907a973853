"""MONAI's networks through the registry, and MONAI's encoders in a pretrained U-Net."""

import pytest
import torch
from network_checks import built, check_export, check_overfit, check_shapes_and_gradients

from medseg.errors import ConfigError, ModelError
from medseg.models.registry import build_network

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec:FutureWarning", "ignore:The tensor attributes self.heads:UserWarning"
)

SMALL = {
    "dynunet": {"features": [4, 8, 8], "deep_supervision": True},
    "segresnet": {"width": 8, "blocks_down": [1, 1, 1]},
    "mednext": {"width": 4, "blocks_down": [1, 1], "deep_supervision": True},
    "vnet": {"dropout": 0.1},
    "swinunetr": {"width": 12, "depths": [1, 1, 1, 1], "window": 4},
    "unetr": {"hidden": 24, "mlp": 24, "heads": 2, "width": 4},
}
ENCODERS = ["resnet10", "resnet18", "efficientnet_b0"]


def _arguments(name, dimensions):
    pytest.importorskip("einops", reason="einops is not installed (extra transformers)") if "unetr" in name else None
    return SMALL[name] | ({"size": [32, 16, 16][:dimensions]} if name == "unetr" else {})


# V-Net has 45 million weights in 3D, and SwinUNETR needs 64 voxels along each axis to train.
LARGE = {("vnet", 3), ("swinunetr", 3)}


@pytest.mark.parametrize(("name", "dimensions"), sorted({(n, d) for n in SMALL for d in (2, 3)} - LARGE))
def test_shapes_and_gradients(name, dimensions):
    check_shapes_and_gradients(name, dimensions, _arguments(name, dimensions), least=64 if name == "swinunetr" else 8)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dimensions"), sorted(LARGE))
def test_shapes_and_gradients_of_large_ones(name, dimensions):
    check_shapes_and_gradients(name, dimensions, _arguments(name, dimensions), least=64 if name == "swinunetr" else 16)


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", SMALL)
def test_export(name, dimensions):
    check_export(name, dimensions, _arguments(name, dimensions), least=64 if name == "swinunetr" else 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_overfit(name):
    arguments = _arguments(name, 2) | ({"size": [64, 64]} if name == "unetr" else {})
    check_overfit(name, 2, arguments, least=64, rate=0.003)


@pytest.mark.parametrize("name", ["dynunet", "mednext"])
def test_deep_supervision_is_a_list_of_maps_at_their_own_resolution(name):
    network = build_network(name, channels=1, classes=2, dimensions=2, arguments=SMALL[name])
    scores = network(torch.randn(1, 1, 16, 16))
    assert isinstance(scores, list)
    assert [s.shape[2] for s in scores] == [16, 8, 4][: len(scores)]
    assert len(scores) > 1


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("dynunet", {"features": [4, 8]}, "features"),
        ("dynunet", {"features": [4, 8, 8], "strides": [1, 2]}, "strides: 2 for 3 stages"),
        ("segresnet", {"width": 12}, "width"),
        ("mednext", {"kernel": 4}, "kernel"),
        ("mednext", {"expansion_up": [2]}, "expansion_up: 1 for 4 stages"),
        ("swinunetr", {"width": 16}, "width"),
        ("unetr", {}, "size"),
        ("unetr", {"size": [32, 40]}, "size"),
        ("vnet", {"drop": 1}, "unknown key 'drop'"),
    ],
)
def test_a_wrong_argument_is_named(name, arguments, message):
    if name == "unetr":
        pytest.importorskip("einops", reason="einops is not installed (extra transformers)")
    with pytest.raises(ConfigError, match=f"network {name}.*{message}"):
        build_network(name, channels=1, classes=2, dimensions=2, arguments=arguments)


def test_vnet_names_channels_it_cannot_repeat():
    with pytest.raises(ConfigError, match="3 does not divide"):
        build_network("vnet", channels=3, classes=2, dimensions=2)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [("swinunetr", 32, "one voxel"), ("unetr", 16, r"patches of \[32, 16\], not \[16, 16\]")],
)
def test_a_patch_it_cannot_take_is_refused(name, size, message):
    network = built(name, **_arguments(name, 2))
    with pytest.raises(ModelError, match=message):
        network(torch.randn(1, 1, size, size))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_encoders_in_a_pretrained_unet(encoder):
    arguments = {"encoder": encoder, "weights": None, "depth": 3, "features": [4, 4, 4]}
    check_shapes_and_gradients("pretrained_unet", 2, arguments, least=16)
    if encoder != "efficientnet_b0":
        check_shapes_and_gradients("pretrained_unet", 3, arguments, least=8)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_export_of_encoders(encoder):
    arguments = {"encoder": encoder, "weights": None, "depth": 3, "features": [4, 4, 4]}
    check_export("pretrained_unet", 2, arguments)


def test_resnet_18_lets_gradients_through_its_shortcuts():
    network = built("pretrained_unet", encoder="resnet18", weights=None, depth=3).eval()
    block = network.encoder.body.stages["stride_8"].layer2[0]
    x = torch.randn(1, 64, 8, 8, requires_grad=True)
    block.downsample(x).sum().backward()
    assert x.grad[:, :, ::2, ::2].eq(1).all()
    assert x.grad.sum() == x.grad[:, :, ::2, ::2].sum()


def test_medicalnets_names_and_efficientnets_names_are_understood(tmp_path, monkeypatch):
    from monai.networks.nets.efficientnet import EfficientNetBNFeatures
    from monai.networks.nets.resnet import ResNetFeatures

    from medseg.models.registry import load_pretrained

    resnet = ResNetFeatures("resnet10", pretrained=False, spatial_dims=3, in_channels=1).eval()
    theirs = {f"module.{k}": v for k, v in resnet.state_dict().items()}
    torch.save({"state_dict": theirs | {"module.conv_seg.0.weight": torch.zeros(1)}}, tmp_path / "resnet.pth")
    efficient = EfficientNetBNFeatures("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=3).eval()
    renamed = {}
    for key, value in efficient.state_dict().items():
        parts = key.split(".")
        renamed[".".join([parts[0], *parts[2:]]) if parts[0] == "_blocks" else key] = value
    torch.save(renamed, tmp_path / "efficientnet.pth")
    for encoder, source, dimensions, file in (
        ("resnet10", resnet, 3, "resnet.pth"),
        ("efficientnet_b0", efficient, 2, "efficientnet.pth"),
    ):
        channels = 1 if dimensions == 3 else 3
        how = {"encoder": encoder, "weights": str(tmp_path / file), "depth": 3}
        network = built("pretrained_unet", dimensions, channels, **how).eval()
        load_pretrained(network)
        x = torch.randn(1, channels, *[32] * dimensions)
        with torch.no_grad():
            for ours, reference in zip(network.encoder.body(x), source(x), strict=False):
                torch.testing.assert_close(ours, reference)
