import copy

import pytest
import torch
from torch import nn

from medseg.training.config import OptimizerConfig
from medseg.training.optimizer import Muon, _orthogonal, build_optimizer


@pytest.mark.parametrize("shape", [(16, 32), (32, 16), (24, 24)])
def test_orthogonal_keeps_singular_vectors_and_evens_out_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    among = u.T @ _orthogonal(matrix) @ v.T
    values = among.diagonal()
    assert values.min() > 0.5
    assert values.max() < 1.4
    assert (among - torch.diag(values)).abs().max() < 0.1


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 8, 3), nn.Conv3d(8, 8, 3), nn.ConvTranspose3d(8, 16, 2, 2), nn.Conv3d(16, 3, 1))


def test_only_wide_weights_are_matrices():
    moved = build_optimizer(OptimizerConfig(name="muon", learning_rate=0.02), network())
    shapes = {group["orthogonal"]: [tuple(w.shape) for w in group["params"]] for group in moved.param_groups}
    assert shapes[True] == [(8, 8, 3, 3, 3), (8, 16, 2, 2, 2)]
    assert len(shapes[False]) == 2 + 4


def test_others_are_moved_as_by_adamw():
    first = nn.Linear(4, 3)
    second = copy.deepcopy(first)
    ours = Muon(first.parameters(), 0.1, weight_decay=0.2)
    peer = torch.optim.AdamW(second.parameters(), 0.01, weight_decay=0.2)
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        x = torch.randn(5, 4, generator=draw)
        for layer, optimizer in ((first, ours), (second, peer)):
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()
    assert torch.allclose(first.weight, second.weight, atol=1e-6)
    assert torch.allclose(first.bias, second.bias, atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 12), (10, 16)])
def test_matrices_are_moved_as_by_torchs_muon(shape):
    """Wide ones: torch lets tall ones move further. It computes in bfloat16, whose rounding is 1 in 256."""
    draw = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=draw)
    gradients = torch.randn(15, *shape, generator=draw)
    first, second = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    ours = Muon([first], 0.1, momentum=0.8, weight_decay=0.3)
    peer = torch.optim.Muon([second], 0.1, momentum=0.8, weight_decay=0.3)
    for gradient in gradients:
        before = second.detach().clone()
        for weight, optimizer in ((first, ours), (second, peer)):
            weight.grad = gradient.clone()
            optimizer.step()
        moved = (second - before).norm()
        assert (first - second).norm() < 0.05 * moved
        with torch.no_grad():
            first.copy_(second)  # so that rounding does not add up


def test_a_step_moves_a_matrix_by_the_learning_rate_in_every_direction():
    layer = nn.Linear(12, 10, bias=False)
    before = layer.weight.detach().clone()
    optimizer = Muon(layer.parameters(), 0.5)
    (layer.weight * torch.randn(10, 12, generator=torch.Generator().manual_seed(0))).sum().backward()
    optimizer.step()
    moved = torch.linalg.svdvals((layer.weight - before).detach()) / 0.5
    assert 0.5 < moved.min() <= moved.max() < 1.4


def test_going_on_from_its_state_is_the_same_to_the_bit():
    def steps(model, optimizer, numbers):
        for number in numbers:
            x = torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(number))
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

    whole, config = network(), OptimizerConfig(name="muon", learning_rate=0.02)
    steps(whole, build_optimizer(config, whole), range(6))
    stopped = network()
    optimizer = build_optimizer(config, stopped)
    steps(stopped, optimizer, range(3))
    again = network()
    again.load_state_dict(stopped.state_dict())
    later = build_optimizer(config, again)
    later.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(again, later, range(3, 6))
    assert all(a.equal(b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
