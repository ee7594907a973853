import math

import pytest
import torch

from medseg.training.region_loss import region_loss

# Three parts: 1 lies in the whole alone, 2 in whole and core.
MEMBERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
# Four voxels in a row: background, 1, 2, 2.
LABELS = torch.tensor([[0, 1, 2, 2]])


def scores(whole: list[float], core: list[float]) -> torch.Tensor:
    """Give scores whose sigmoids are these."""
    return torch.tensor([[whole, core]]).logit()


WHOLE, CORE = [0.5, 0.75, 0.5, 0.25], [0.25, 0.5, 0.75, 0.5]


def test_dice_and_cross_entropy_by_hand():
    found = scores(WHOLE, CORE)
    dice = [2 * 1.5 / (2.0 + 3.0), 2 * 1.25 / (2.0 + 2.0)]
    value = region_loss(found, LABELS, MEMBERS, cross_entropy_weight=0.0).item()
    assert value == pytest.approx(1 - sum(dice) / 2, abs=1e-5)
    logs = [0.5, 0.75, 0.5, 0.25, 0.75, 0.5, 0.75, 0.5]
    value = region_loss(found, LABELS, MEMBERS, dice=0.0).item()
    entropy = -sum(map(math.log, logs)) / 8
    assert value == pytest.approx(entropy, rel=1e-5)
    value = region_loss(found, LABELS, MEMBERS, dice=0.3, cross_entropy_weight=2.0).item()
    assert value == pytest.approx(0.3 * (1 - sum(dice) / 2) + 2 * entropy, rel=1e-4)


def test_a_perfect_prediction_costs_nothing():
    perfect = MEMBERS[LABELS].movedim(-1, 1) * 40 - 20
    assert region_loss(perfect, LABELS, MEMBERS).item() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("over_batch", [True, False])
def test_it_equals_monai(over_batch):
    from monai.losses import DiceLoss

    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (3, 6, 5, 7), generator=draw)
    found = torch.randn(3, 2, 6, 5, 7, generator=draw)
    truth = MEMBERS[labels].movedim(-1, 1)
    peer = DiceLoss(sigmoid=True, batch=over_batch, smooth_nr=1e-5, smooth_dr=1e-5)(found, truth)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(found, truth)
    value = region_loss(found, labels, MEMBERS, over_batch=over_batch).item()
    assert value == pytest.approx((peer + entropy).item(), rel=1e-5)


def test_ignored_voxels_count_for_nothing():
    draw = torch.Generator().manual_seed(1)
    found = torch.randn(2, 2, 8, 8, generator=draw)
    labels = torch.randint(0, 3, (2, 8, 8), generator=draw)
    labels[..., 5:] = 255
    part = region_loss(found[..., :5], labels[..., :5], MEMBERS)
    assert region_loss(found, labels, MEMBERS, ignore=255).item() == pytest.approx(part.item(), rel=1e-5)
    everything = torch.full((1, 4, 4), 255)
    assert torch.isfinite(region_loss(torch.zeros(1, 2, 4, 4), everything, MEMBERS, ignore=255))


def test_shares_that_are_whole_are_labels():
    draw = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 3, (2, 4, 4, 4), generator=draw)
    found = [torch.randn(2, 2, 4, 4, 4, generator=draw)]
    hot = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    assert region_loss(found, hot, MEMBERS).item() == pytest.approx(
        region_loss(found, labels, MEMBERS).item(), rel=1e-6
    )
