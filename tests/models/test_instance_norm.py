import pytest
import torch
from torch import nn

from medseg.errors import ModelError
from medseg.models.instance_norm import InstanceNorm


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("training", [True, False])
def test_equals_pytorch_forward_and_backward(memory_format, training):
    ours, theirs = InstanceNorm(5).double(), nn.InstanceNorm3d(5, affine=True).double()
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs.load_state_dict(ours.state_dict())
    x = (3 + 2 * torch.randn(3, 5, 4, 6, 5).double()).contiguous(memory_format=memory_format)
    slope = torch.randn_like(x)
    results = []
    for layer in (ours.train(training), theirs.train(training)):
        given = x.clone().requires_grad_()
        y = layer(given)
        y.backward(slope)
        results.append((y.detach(), given.grad, layer.weight.grad, layer.bias.grad))
    for mine, reference in zip(*results, strict=True):
        torch.testing.assert_close(mine, reference)


def test_gradient_is_the_numerical_one():
    layer = InstanceNorm(3).double()
    x = torch.randn(2, 3, 4, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_keeps_channels_last_and_bfloat16():
    x = torch.randn(2, 8, 4, 4, 4).to(memory_format=torch.channels_last_3d).bfloat16().requires_grad_()
    y = InstanceNorm(8)(x)
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last_3d)
    y.sum().backward()
    assert x.grad.is_contiguous(memory_format=torch.channels_last_3d)


def test_refuses_to_train_on_one_voxel():
    with pytest.raises(ModelError, match="one voxel"):
        InstanceNorm(2)(torch.randn(4, 2, 1, 1, 1))
