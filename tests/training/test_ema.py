import torch

from medseg.training.ema import Ema


def test_the_average_by_hand():
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.0)
    ema = Ema(network, decay=0.5)
    with torch.no_grad():
        network.weight.fill_(1.0)
    ema.update(network, 0)  # decay (1 + 0) / (10 + 0)
    assert torch.allclose(ema.state["weight"], torch.tensor(0.9))
    ema.update(network, 1000)
    assert torch.allclose(ema.state["weight"], torch.tensor(0.95))


def test_counts_are_copied_not_averaged():
    network = torch.nn.BatchNorm1d(2)
    ema = Ema(network, decay=0.9)
    network(torch.randn(4, 2))
    ema.update(network, 0)
    assert ema.state["num_batches_tracked"].item() == 1
