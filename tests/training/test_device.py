import pytest
import torch

from medseg.models.registry import build_network
from medseg.training.device import memory_format


def network(dimensions: int, dilations: list[int]) -> torch.nn.Module:
    torch.manual_seed(0)
    arguments = {"features": [24] * len(dilations), "dilations": dilations}
    return build_network("fcn_full_resolution", channels=1, classes=2, dimensions=dimensions, arguments=arguments)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("dilations", [[1, 1], [1, 2], [1, 4]])
def test_gradients_in_bfloat16_are_numbers_in_the_layout_chosen(dimensions, dilations):
    model = network(dimensions, dilations)
    layout = memory_format(dimensions, model)
    model = model.to(memory_format=layout).train()
    images = torch.randn(2, 1, *(32,) * dimensions).contiguous(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(images)
    scores = scores if isinstance(scores, torch.Tensor) else scores[0]
    scores.float().square().mean().backward()
    assert [name for name, weight in model.named_parameters() if not weight.grad.isfinite().all()] == []


def test_only_dilated_networks_in_2d_are_laid_out_channels_first():
    assert memory_format(2, network(2, [1, 2])) == torch.contiguous_format
    assert memory_format(2, network(2, [1, 1])) == torch.channels_last
    assert memory_format(3, network(3, [1, 2])) == torch.channels_last_3d
    assert memory_format(2) == torch.channels_last
