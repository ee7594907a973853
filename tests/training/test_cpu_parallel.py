import pytest
import torch
from torch import nn

from medseg.models.registry import build_network
from medseg.training.cpu_parallel import SideBySide, can_be_split, one_thread
from medseg.training.losses import segmentation_loss


def network(**arguments) -> nn.Module:
    torch.manual_seed(0)
    arguments = {"features": [4, 8], "deep_supervision": True, **arguments}
    return build_network("unet", channels=1, classes=3, dimensions=3, arguments=arguments).train()


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [weight.grad.clone() for weight in model.parameters()]


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)  # `_one_thread` of conftest.py puts back what was before


@pytest.mark.parametrize("batch", [2, 3])
def test_gradients_are_those_of_the_whole_batch(two_threads, batch):
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(batch, 1, 8, 8, 8, generator=draw)
    labels = torch.randint(0, 3, (batch, 8, 8, 8), generator=draw)
    whole, split = network(), network()
    expected = segmentation_loss(whole(images), labels)
    expected.backward()
    loss = SideBySide(split, torch.float32, 2).backward(images, lambda scores: segmentation_loss(scores, labels))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip(gradients(split), gradients(whole), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    # Again, to the bit, and added to what is there.
    again = network()
    side = SideBySide(again, torch.float32, 2)
    side.backward(images, lambda scores: segmentation_loss(scores, labels))
    assert all(a.equal(b) for a, b in zip(gradients(again), gradients(split), strict=True))
    side.backward(images, lambda scores: segmentation_loss(scores, labels))
    assert all(torch.allclose(a, 2 * b) for a, b in zip(gradients(again), gradients(split), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_lie_in_memory_as_the_weights_do(two_threads, dtype):
    model = network().to(memory_format=torch.channels_last_3d)
    images = torch.randn(2, 1, 8, 8, 8).contiguous(memory_format=torch.channels_last_3d)
    labels = torch.randint(0, 3, (2, 8, 8, 8))
    SideBySide(model, dtype, 2).backward(images, lambda scores: segmentation_loss(scores, labels))
    assert all(weight.grad.stride() == weight.stride() for weight in model.parameters())


def test_only_what_gives_the_same_result_is_split():
    assert can_be_split(network(), "unet")
    assert not can_be_split(network(norm="batch"), "unet")
    assert not can_be_split(network(dropout=0.1), "unet")
    assert not can_be_split(network(), "swinunetr")


def test_threads_are_given_back(two_threads):
    with pytest.raises(ValueError, match="inside"), one_thread():
        assert torch.get_num_threads() == 1
        raise ValueError("inside")
    assert torch.get_num_threads() == 2
