"""Files of weights in their authors' true layout: nnssl's residual encoder, SuPreM's SegResNet."""

import pytest
import torch
from monai.networks.nets import SegResNet
from nnunet_reference import NnUNet, randomize

from medseg.errors import ModelError
from medseg.models.registry import build_network
from medseg.models.weights_file import is_weights_file, load_weights_file, read_weights_file

KERNELS, STRIDES = [[3, 3, 3]] * 3, [[1, 1, 1], [2, 2, 2], [2, 2, 2]]
PLAN = {
    "architecture_plans": {"arch_class_name": "ResEncL", "arch_kwargs": None},
    "pretrain_num_input_channels": 1,
    "key_to_encoder": "encoder.stages",
    "key_to_stem": "encoder.stem",
    "keys_to_in_proj": ["encoder.stem.convs.0.conv", "encoder.stem.convs.0.all_modules.0"],
}


def nnssl(path, features=(4, 8, 8), blocks=(1, 3, 4)):
    """A checkpoint as nnssl writes one, of a narrower network, and that network."""
    network = NnUNet(3, 1, 1, list(features), KERNELS, STRIDES, list(blocks), [1, 1], True)
    randomize(network)
    torch.save({"network_weights": network.state_dict(), "citations": [], "nnssl_adaptation_plan": PLAN}, path)
    return network


def suprem(path, width=8):
    network = SegResNet(blocks_down=[1, 2, 2, 4], blocks_up=[1, 1, 1], init_filters=width, out_channels=32)
    torch.save({"net": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    return network


def started(path, channels=1, classes=3):
    file = read_weights_file(path)
    torch.manual_seed(1)
    network = build_network(
        file.network["name"], channels=channels, classes=classes, dimensions=3, arguments=file.network["arguments"]
    )
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_weights_file(network, file, path)
    return network.eval(), before, file


def test_the_layout_of_these_tests_has_the_tensors_of_the_published_checkpoint():
    """ResEncL as it is published has 448 tensors of the encoder, and all of them again in the decoder: 956."""
    with torch.device("meta"):
        strides = [[1, 1, 1], *[[2, 2, 2]] * 5]
        features, blocks = [32, 64, 128, 256, 320, 320], [1, 3, 4, 6, 6, 6]
        names = NnUNet(3, 1, 1, features, [[3, 3, 3]] * 6, strides, blocks, [1] * 5, True).state_dict()
    assert sum(name.startswith("encoder.") for name in names) == 448
    assert len(names) == 956


@torch.no_grad()
def test_an_nnssl_encoder_gives_the_features_of_the_authors_network(tmp_path):
    theirs = nnssl(tmp_path / "a.pth").eval()
    network, before, _ = started(tmp_path / "a.pth")
    image = torch.randn(1, 1, 8, 12, 16)
    # Their axes are those of an array (Z, Y, X).
    expected = theirs.encoder(image.permute(0, 1, 4, 3, 2))
    found, _ = network.encoder(image)
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one.permute(0, 1, 4, 3, 2), other, atol=1e-4)
    after = network.state_dict()
    assert all(after[name].equal(before[name]) for name in before if name.startswith("decoder."))


@torch.no_grad()
def test_channels_share_the_stem_so_that_equal_ones_give_what_one_gives(tmp_path):
    nnssl(tmp_path / "a.pth")
    suprem(tmp_path / "b.pth")
    image = torch.randn(1, 1, 16, 16, 16)
    for name, features in (("a.pth", lambda n, x: n.encoder(x)[0]), ("b.pth", lambda n, x: n.encode(x)[1])):
        of_one = features(started(tmp_path / name)[0], image)
        of_three = features(started(tmp_path / name, channels=3)[0], image.expand(-1, 3, -1, -1, -1))
        assert all(torch.allclose(x, y, atol=1e-4) for x, y in zip(of_one, of_three, strict=True))


@torch.no_grad()
def test_suprem_gives_all_but_the_outputs_of_its_own_classes(tmp_path):
    theirs = suprem(tmp_path / "s.pth").eval()
    network, before, file = started(tmp_path / "s.pth", classes=5)
    assert len(before) == 83
    assert len(file.weights) == 81
    assert file.network["arguments"] == {"width": 8, "blocks_down": [1, 2, 2, 4]}
    fresh = [
        name for name, value in network.state_dict().items() if value.equal(before[name]) and name not in file.weights
    ]
    assert fresh == ["conv_final.2.conv.weight", "conv_final.2.conv.bias"]
    head, own = theirs.conv_final[2].conv, network.conv_final[2].conv
    own.weight.copy_(head.weight[:5])
    own.bias.copy_(head.bias[:5])
    image = torch.randn(1, 1, 16, 16, 16)
    assert torch.allclose(network(image), theirs(image)[:, :5], atol=1e-5)


def test_safetensors_of_the_same_names_are_read(tmp_path):
    from safetensors.torch import save_file

    network = nnssl(tmp_path / "a.pth")
    save_file({name: value.clone() for name, value in network.state_dict().items()}, tmp_path / "a.safetensors")
    first, second = (started(tmp_path / name)[0].state_dict() for name in ("a.pth", "a.safetensors"))
    assert all(first[name].equal(second[name]) for name in first)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"net": {"module.backbone.down_tr64.ops.0.conv1.weight": torch.zeros(1)}}, "network that is not known here"),
        ({"network_weights": {}}, "no weights"),
    ],
)
def test_other_networks_are_refused_by_name(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=message):
        read_weights_file(tmp_path / "a.pth")


def test_no_code_of_a_file_runs_and_an_incomplete_one_is_refused(tmp_path):
    class Program:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"net": Program()}, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match="without running code"):
        read_weights_file(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()
    weights = suprem(tmp_path / "s.pth").state_dict()
    del weights["up_samples.1.0.conv.weight"]
    torch.save({"net": weights}, tmp_path / "s.pth")
    with pytest.raises(ModelError, match="no weights for 'up_samples"):
        started(tmp_path / "s.pth")
    with pytest.raises(ModelError, match="no such file"):
        read_weights_file(tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("name", "expected"), [("a.pth", True), ("x/B.PT", True), ("hippocampus", False), ("models:/a@b.pt", False)]
)
def test_a_file_of_weights_is_known_by_its_ending(name, expected):
    assert is_weights_file(name) is expected
