"""Convolutions of single patches against PyTorch's own, in float64; and what a training step runs in."""

import copy

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from medseg.models.onednn_convolution import InOneDnn
from medseg.models.registry import build_network
from medseg.training.cpu_parallel import SideBySide
from medseg.training.losses import segmentation_loss

LAYOUT = torch.channels_last_3d


def gradients(layer: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """Output, and gradients of the input and all weights, of a sum of the output times these weights."""
    x = x.clone().requires_grad_()
    y = layer(x)
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("size", [(8, 6, 4), (7, 9, 5), (2, 3, 3)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        (nn.Conv3d, {"kernel_size": 3, "padding": 1}),
        (nn.Conv3d, {"kernel_size": 3, "padding": 1, "stride": 2}),
        (nn.Conv3d, {"kernel_size": (1, 3, 3), "padding": (0, 1, 1), "stride": (1, 2, 2)}),
        (nn.Conv3d, {"kernel_size": (3, 1, 5), "padding": (1, 0, 2)}),
        (nn.Conv3d, {"kernel_size": 2, "stride": 2}),
        (nn.Conv3d, {"kernel_size": 1}),
        (nn.ConvTranspose3d, {"kernel_size": 2, "stride": 2}),
        (nn.ConvTranspose3d, {"kernel_size": (1, 2, 2), "stride": (1, 2, 2)}),
    ],
    ids=str,
)
def test_results_and_gradients_are_those_of_pytorch(layer, bias, size):
    torch.manual_seed(0)
    kind, options = layer
    own = kind(3, 5, bias=bias, **options).to(memory_format=LAYOUT)
    reference = copy.deepcopy(own).double()
    for samples in (1, 2):
        x = torch.randn(samples, 3, *size).contiguous(memory_format=LAYOUT)
        weights = torch.randn_like(own(x))
        expected = gradients(reference, x.double(), weights.double())
        with InOneDnn():
            found = gradients(own, x, weights)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.dtype == torch.float32
            assert torch.allclose(ours.double(), theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def slow_operators(*, split: bool) -> set[str]:
    """Operators of PyTorch's own convolution that a step of a U-Net takes, its samples one by one or together."""
    torch.manual_seed(0)
    arguments = {"features": [8, 16, 16], "deep_supervision": True}
    network = build_network("unet", channels=1, classes=3, dimensions=3, arguments=arguments)
    network = network.to(memory_format=LAYOUT).train()
    images = torch.randn(2, 1, 16, 16, 16).contiguous(memory_format=LAYOUT)
    labels = torch.randint(0, 3, (2, 16, 16, 16))
    every_thread = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    with profile(activities=[ProfilerActivity.CPU], experimental_config=every_thread) as seen:
        if split:
            SideBySide(network, torch.float32, 2).backward(images, lambda scores: segmentation_loss(scores, labels))
        else:
            segmentation_loss(network(images[:1]), labels[:1]).backward()
    names = {event.key for event in seen.key_averages()}
    assert any("convolution" in name for name in names)
    return {name for name in names if "slow_conv" in name or "thnn_conv" in name}


def test_no_convolution_of_a_training_step_takes_the_slow_path():
    assert slow_operators(split=False), "PyTorch no longer takes it: InOneDnn may go"
    assert slow_operators(split=True) == set()


def test_what_it_does_not_know_is_left_to_pytorch():
    torch.manual_seed(0)
    x = torch.randn(1, 4, 6, 6, 6)
    for layer in (
        nn.Conv3d(4, 4, 3, groups=2),
        nn.Conv3d(4, 4, 3, dilation=2),
        nn.Conv3d(4, 4, 3, padding="same"),
        nn.ConvTranspose3d(4, 4, 3, stride=2, padding=1, output_padding=1),
    ):
        with InOneDnn():
            found = layer(x)
        assert found.equal(layer(x))
