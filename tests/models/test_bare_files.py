"""ONNX, TorchScript and bare weights, imported by what the file says and a YAML beside it says."""

import numpy as np
import pytest
import torch
import yaml
from objects_for_tests import scan_of

from medseg.cli.app import run
from medseg.errors import FormatLimitation, ModelError, UsageError
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.importing import import_model
from medseg.models.package import load_package
from medseg.models.registry import build_network
from medseg.models.zipping import write_zip

ARGUMENTS = {"features": [4, 8]}
INPUT = {
    "channels": [{"name": "t1", "normalization": {"scheme": "zscore"}}],
    "orientation": "RAS",
    "spacing": [1.0, 1.0, 1.0],
    "patch": [16, 16, 16],
}
NETWORK = {"name": "unet", "arguments": ARGUMENTS}
CLASSES = [{"value": 1, "name": "liver"}, {"value": 2, "name": "tumor"}]


@pytest.fixture
def network():
    torch.manual_seed(3)
    return build_network("unet", channels=1, classes=3, dimensions=3, arguments=ARGUMENTS).eval()


@pytest.fixture
def scan():
    return scan_of(np.random.default_rng(0).normal(size=(20, 18, 16)).astype(np.float32))


@pytest.fixture
def expected(tmp_path, network, scan):
    """Labels of the same network through the most ordinary import."""
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    write_card(tmp_path / "weights.yaml", network=NETWORK)
    package = import_model(tmp_path / "weights.pt", "weights", out=tmp_path / "by-weights")
    return segment(package, scan)


def write_card(path, without=(), **more):
    content = {"classes": CLASSES, "input": dict(INPUT), **more}
    for key in without:
        del content["input"][key]
    path.write_text(yaml.safe_dump(content))


def segment(package, scan, engine="auto"):
    return Predictor(package, InferOptions(device="cpu", engine=engine)).segment(scan).labels.array


def onnx_file(path, network, **options):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed (extra onnx)")
    torch.onnx.export(network, (torch.zeros(1, 1, 16, 16, 16),), str(path), dynamo=False, opset_version=17, **options)
    return path


@pytest.mark.parametrize("file", ["model.safetensors", "model.ckpt"])
def test_weights_with_a_card_beside_them(tmp_path, network, scan, expected, file):
    if file.endswith("safetensors"):
        from safetensors.torch import save_file

        save_file(network.state_dict(), tmp_path / file)
    else:  # as Lightning, and data-parallel training, leave them
        weights = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": weights}, tmp_path / file)
    with pytest.raises(UsageError, match="which network"):
        import_model(tmp_path / file, "x")
    write_card(tmp_path / "model.yaml", network=NETWORK)
    package = import_model(tmp_path / file, "x")
    assert [c.name for c in package.card.classes] == ["liver", "tumor"]
    assert np.array_equal(segment(load_package("x"), scan), expected)


def test_weights_that_do_not_fit(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "model.pt")
    write_card(tmp_path / "model.yaml", network={"name": "unet", "arguments": {"features": [4, 16]}})
    with pytest.raises(ModelError, match="do not fit the network"):
        import_model(tmp_path / "model.pt", "x")


@pytest.mark.parametrize("engine", ["auto", "onnx", "openvino"])
def test_onnx(tmp_path, network, scan, expected, engine):
    if engine == "openvino":
        pytest.importorskip("openvino", reason="openvino is not installed (extra openvino)")
    path = onnx_file(tmp_path / "model.onnx", network, input_names=["anything"], output_names=["whatever"])
    write_card(path.with_suffix(".yaml"), without=["patch"])  # the graph says it
    package = import_model(path, "x")
    assert package.card.input.patch == (16, 16, 16)
    assert (segment(package, scan, engine) == expected).mean() > 0.9999
    with pytest.raises(UsageError, match="came as ONNX"):
        segment(package, scan, "torch")


def test_onnx_without_a_card_says_all_it_lacks(tmp_path, network):
    path = onnx_file(tmp_path / "model.onnx", network, dynamic_axes={"x": {2: "x", 3: "y", 4: "z"}}, input_names=["x"])
    with pytest.raises(UsageError, match=r"lacks .*orientation, .*spacing, .*normalization"):
        import_model(path, "x")
    write_card(path.with_suffix(".yaml"), without=["patch"])
    with pytest.raises(UsageError, match=r"lacks input\.patch"):
        import_model(path, "x")
    # What no file can say is never guessed: a wrong normalization gives a wrong mask.
    write_card(path.with_suffix(".yaml"), input=INPUT | {"channels": [{"name": "t1"}]})
    with pytest.raises(UsageError, match=r"lacks input\.channels\.0\.normalization"):
        import_model(path, "x")


@pytest.mark.parametrize("axes", [{2: "x", 3: "y", 4: "z"}, {0: "batch"}, {0: "batch", 2: "x", 3: "y", 4: "z"}])
def test_an_onnx_file_of_open_sizes_needs_no_less_memory_than_one_of_fixed_sizes(tmp_path, network, axes):
    pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
    found = []
    for name, dynamic in (("fixed", None), ("open", {"x": axes})):
        path, shown = tmp_path / f"{name}.onnx", (torch.zeros(1, 1, 16, 16, 16),)
        torch.onnx.export(network, shown, str(path), dynamo=False, dynamic_axes=dynamic, input_names=["x"])
        write_card(path.with_suffix(".yaml"), input=INPUT | {"patch": [16, 16, 16]})
        found.append(find_export(import_model(path, name)).activations)
    fixed, of_open = found
    assert of_open >= fixed > 0


def test_onnx_with_weights_elsewhere_is_refused(tmp_path, network):
    import_onnx = pytest.importorskip("onnx")
    path = onnx_file(tmp_path / "model.onnx", network)
    model = import_onnx.load(str(path))
    import_onnx.save(model, str(path), save_as_external_data=True, location="secret", size_threshold=0)
    write_card(path.with_suffix(".yaml"))
    with pytest.raises(FormatLimitation, match="other files"):
        import_model(path, "x")


def test_torchscript_runs_only_where_it_is_trusted(tmp_path, network, scan, expected, monkeypatch):
    path = tmp_path / "model.ts"
    torch.jit.trace(network, torch.zeros(1, 1, 16, 16, 16)).save(str(path))
    write_card(tmp_path / "model.yaml")
    with pytest.raises(UsageError, match="--trust"):
        import_model(path, "x")
    package = import_model(path, "x", trust=True)
    assert (segment(package, scan) == expected).mean() > 0.9999
    # A package does not bring the permission with it to another machine.
    write_zip(package, tmp_path / "x.zip")
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(ModelError, match="not been marked as trusted"):
        segment(load_package(tmp_path / "x.zip"), scan)
    with pytest.raises(UsageError, match="--trust"):
        import_model(tmp_path / "x.zip", "x")
    assert (segment(import_model(tmp_path / "x.zip", "x", trust=True), scan) == expected).mean() > 0.9999


def test_probabilities_and_regions(tmp_path, scan):
    """A network that ends in the sigmoid: the later region lies on top, or each stays whole where the card says so."""

    class Regions(torch.nn.Module):
        def forward(self, x):
            return torch.sigmoid(torch.cat([8 * x, 8 * (x - 1)], dim=1))

    torch.jit.trace(Regions(), torch.zeros(1, 1, 16, 16, 16)).save(str(tmp_path / "model.pt"))
    channels = [{"name": "t1", "normalization": {"scheme": "none"}}]
    known = {"input": INPUT | {"channels": channels}, "regions": [1, 2], "network": {"output": "probabilities"}}
    write_card(tmp_path / "model.yaml", **known)
    labels = segment(import_model(tmp_path / "model.pt", "x", trust=True), scan)
    assert np.array_equal(labels, (scan.array[0] > 0) + 1 * (scan.array[0] > 1))
    write_card(tmp_path / "model.yaml", overlapping=True, **known)
    package = import_model(tmp_path / "model.pt", "y", trust=True)
    found = Predictor(package, InferOptions(device="cpu")).segment(scan).overlapping
    assert np.array_equal(found.mask(1), scan.array[0] > 0)
    assert np.array_equal(found.mask(2), scan.array[0] > 1)


def test_a_package_by_the_command_line(tmp_path, network, capsys):
    torch.save(network.state_dict(), tmp_path / "model.pt")
    write_card(tmp_path / "facts.yaml", network=NETWORK)
    card = ["--card", str(tmp_path / "facts.yaml")]
    assert run(["models", "import", str(tmp_path / "model.pt"), "--name", "a", *card]) == 0
    assert run(["models", "export", "a", "--out", str(tmp_path / "a.zip")]) == 0
    assert run(["models", "import", str(tmp_path / "a.zip"), "--name", "b"]) == 0
    assert load_package("a").hash == load_package("b").hash
    capsys.readouterr()
    assert run(["models", "list"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines() if line} >= {"a", "b", "hippocampus"}
    assert run(["models", "import", str(tmp_path / "model.pt"), "--name", "a"]) == 2
    assert run(["models", "verify", "b", "--device", "cpu"]) == 0


def test_a_wrong_card_is_answered_in_the_words_of_a_configuration(tmp_path, network, capsys):
    torch.save(network.state_dict(), tmp_path / "model.pt")
    card = ["--card", str(tmp_path / "facts.yaml")]
    (tmp_path / "facts.yaml").write_text("clases: []\n")
    assert run(["models", "import", str(tmp_path / "model.pt"), "--name", "a", *card]) == 2
    assert "unknown key 'clases'. Did you mean 'classes'?" in capsys.readouterr().err
    write_card(tmp_path / "facts.yaml", network=NETWORK | {"dimensions": "three"})
    assert run(["models", "import", str(tmp_path / "model.pt"), "--name", "a", *card]) == 2
    error = capsys.readouterr().err
    assert "network.dimensions: must be" in error
    assert "Input should be" not in error
