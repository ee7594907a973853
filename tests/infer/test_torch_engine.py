import numpy as np
import pytest
import torch
from networks_for_tests import tiny_card

from medseg.errors import ModelError, UsageError
from medseg.infer.engines.torch import LARGEST_HELD, TorchEngine, resolve_device
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.prepare.card import ChannelCard, InputCard
from medseg.types import Geometry, Scan


class Voxelwise(torch.nn.Module):
    """One convolution of one voxel: (N, 1, ...) to (N, 2, ...)."""

    multiple = (1, 1, 1)

    def __init__(self, dimensions):
        super().__init__()
        self.layer = (torch.nn.Conv3d if dimensions == 3 else torch.nn.Conv2d)(1, 2, 1)

    def forward(self, x):
        return self.layer(x)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A package whose network says class 1 where the intensity is above 5."""
    built = []

    def build_network(name, *, channels, classes, dimensions, arguments):
        network = Voxelwise(dimensions)
        if network.layer.weight.device.type != "meta":  # the estimate of memory builds one without weights
            built.append(name)
        return network

    monkeypatch.setattr("medseg.models.registry.build_network", build_network)

    def make(dimensions=3):
        network = Voxelwise(dimensions)
        with torch.no_grad():
            network.layer.weight.copy_(torch.tensor([0.0, 1.0]).reshape(network.layer.weight.shape))
            network.layer.bias.copy_(torch.tensor([5.0, 0.0]))
        channels = (ChannelCard(name="MR", normalization={"scheme": "none"}),)
        inputs = InputCard(channels=channels, patch=(8, 8, 8 if dimensions == 3 else 1))
        card = tiny_card("voxelwise", input=inputs, network=NetworkCard(name="voxelwise", dimensions=dimensions))
        return write_package(tmp_path / f"{dimensions}", card, network.state_dict())

    return make, built


@pytest.mark.parametrize("dimensions", [2, 3])
def test_one_network_serves_every_scan(made, dimensions):
    make, built = made
    predictor = Predictor(make(dimensions), InferOptions(device="cpu", engine="torch"))
    for seed in range(2):
        array = np.random.default_rng(seed).uniform(0, 10, (1, 9, 12, 10)).astype(np.float32)
        prediction = predictor.segment(Scan(array, Geometry(np.eye(4), array.shape[1:])))
        assert np.array_equal(prediction.labels.array, array[0] > 5)
        assert prediction.model.name == "voxelwise"
    assert built == ["voxelwise"]


def test_a_gpu_that_is_not_there_is_a_usage_error():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    for wanted in ("cuda", "cuda:3"):
        with pytest.raises(UsageError, match=f"--device {wanted}: no CUDA GPUs found"):
            resolve_device(wanted)
    assert resolve_device("auto").type == "cpu"


def test_a_device_that_is_no_device_is_refused_by_the_options():
    with pytest.raises(ValueError, match="device"):
        InferOptions(device="gpu")


def test_working_memory_is_estimated_from_the_layers_results(made):
    make, _ = made
    assert TorchEngine(make(3), "cpu").working_bytes == LARGEST_HELD * 2 * 8**3 * 4


def test_weights_of_another_network_are_refused(made):
    make, _ = made
    package = make(3)
    flat = package.card.model_copy(update={"network": NetworkCard(name="voxelwise", dimensions=2)})
    with pytest.raises(ModelError, match="do not fit the network 'voxelwise'"):
        TorchEngine(type(package)(package.folder, flat), "cpu")
