import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from medseg.infer.engines.torch import TorchEngine
from medseg.models.onednn_convolution import InOneDnn
from medseg.models.package import load_package

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch has no oneDNN here")


def operations(run):
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as seen:
        run()
    return {event.key for event in seen.key_averages()}


@pytest.mark.parametrize("name", ["hippocampus", "nuclei"])
def test_no_convolution_of_a_shipped_model_falls_to_the_slow_one(name):
    package = load_package(name)
    window = torch.zeros(1, package.card.channels, *package.card.input.patch)
    found = operations(lambda: TorchEngine(package, "cpu").compute(window))
    assert "aten::mkldnn_convolution" in found
    assert not {key for key in found if "slow_conv" in key and "transpose" not in key}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(3, 5, 3, padding=1),
        nn.Conv3d(3, 5, (3, 1, 3), stride=(2, 1, 2), padding=(1, 0, 1)),
        nn.Conv3d(3, 6, 3, padding="same", dilation=2, groups=3, bias=False),
        nn.Conv3d(3, 5, 2, padding="same"),
        nn.Conv3d(3, 5, 3, padding=1, padding_mode="reflect"),
        nn.Conv3d(3, 5, 3, padding="valid"),
        nn.Conv2d(3, 5, 3, padding=1),
    ],
)
def test_the_result_is_that_of_pytorch(layer):
    image = torch.randn(1, 3, *(9,) * (len(layer.kernel_size)), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = layer(image)
        with InOneDnn():
            found = layer(image)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_class_of_its_own_computes_what_it_computes():
    class Doubled(nn.Conv3d):
        def forward(self, image):
            return 2 * super().forward(image)

    layer = Doubled(1, 1, 1, bias=False)
    image = torch.ones(1, 1, 2, 2, 2)
    with torch.inference_mode(), InOneDnn():
        assert torch.equal(layer(image), 2 * layer.weight.expand(1, 1, 2, 2, 2))
