import pytest
import torch
from network_checks import built

from medseg.models.networks.sliding_window_classifier import cost


def _network(dimensions, **arguments):
    return built("sliding_window_classifier", dimensions, 2, 3, features=[4, 6], hidden=8, **arguments).eval()


@pytest.mark.parametrize("size", [(23, 17), (5, 3), (1, 9), (9, 6, 7)])
def test_all_modes_give_the_same_map(size):
    network = _network(len(size))
    x = torch.randn(2, 2, *size)
    with torch.no_grad():
        maps = {mode: network.twin(mode)(x) for mode in ("sliding", "stitched", "dilated")}
    for scores in maps.values():
        assert scores.shape == (2, 3, *size)
        torch.testing.assert_close(scores, maps["sliding"], rtol=0, atol=1e-4)
    assert maps["sliding"].std() > 0.01


def test_a_score_is_that_of_the_window_cut_out_by_hand():
    network = _network(2, mode="dilated")
    window = network.window
    assert window == 18
    x = torch.randn(1, 2, 40, 40)
    row, column = 20, 13
    patch = x[:, :, row - window // 2 : row + window // 2, column - window // 2 : column + window // 2]
    with torch.no_grad():
        alone = network._classify(patch, dilate=False)
        assert alone.shape == (1, 3, 1, 1)
        torch.testing.assert_close(network(x)[:, :, row, column], alone[:, :, 0, 0], rtol=0, atol=1e-4)


def test_a_score_depends_on_its_window_and_nothing_else():
    network = _network(2, mode="dilated")
    x = torch.randn(1, 2, 60, 60, requires_grad=True)
    network(x)[0, :, 30, 30].abs().sum().backward()
    touched = x.grad[0].abs().sum(0).nonzero()
    assert touched.min() >= 30 - network.window // 2
    assert touched.max() < 30 + network.window // 2


def test_windows_classified_together_do_not_change_the_map():
    x = torch.randn(1, 2, 12, 10)
    network = _network(2)
    with torch.no_grad():
        whole = network(x)
        network.windows_at_once = 7
        torch.testing.assert_close(network(x), whole)


def test_gradients_are_the_same_in_every_mode():
    network = _network(2)
    x, slope = torch.randn(2, 2, 11, 9), torch.randn(2, 3, 11, 9)
    gradients = []
    for mode in ("sliding", "stitched", "dilated"):
        network.zero_grad()
        network.twin(mode)(x).backward(slope)
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-4, atol=1e-4)


def test_twins_share_their_weights():
    network = _network(2)
    twin = network.twin("dilated")
    x = torch.randn(1, 2, 6, 6)
    with torch.no_grad():
        network.head.bias.add_(5.0)
        torch.testing.assert_close(twin(x), network(x))
    assert network.mode == "sliding"


def test_sliding_costs_many_times_the_operations():
    network = _network(2)
    costs = cost(network, (48, 48), channels=2)
    assert costs["sliding"].operations > 10 * costs["dilated"].operations
    assert costs["sliding"].operations > costs["stitched"].operations > costs["dilated"].operations
    # Window by window, the first convolution alone is run once for each of the 16 x 16 places of each window.
    first = 48 * 48 * 16 * 16 * 2 * (9 * 2 * 4)
    assert costs["sliding"].operations > first
