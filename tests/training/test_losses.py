import math

import pytest
import torch

from medseg.training.config import LossConfig
from medseg.training.losses import (
    Counted,
    cross_entropy,
    deep_supervision_weights,
    region_loss,
    segmentation_loss,
    soft_dice_loss,
)

# Two voxels, two classes: softmax of the first is (1/4, 3/4), of the second (1/2, 1/2); labels are 1 and 0.
SCORES = torch.tensor([[[0.0, 0.0], [math.log(3.0), 0.0]]]).reshape(1, 2, 2, 1)
LABELS = torch.tensor([[[1], [0]]])


def test_dice_cross_entropy_and_their_weighted_sum_computed_manually():
    dice = 1 - 2 * 0.75 / (1.25 + 1.0)  # foreground: overlap 3/4, sum of softmax 5/4, one labeled voxel
    entropy = -(math.log(0.75) + math.log(0.5)) / 2
    assert soft_dice_loss(SCORES, LABELS, smooth=0.0).item() == pytest.approx(dice, rel=1e-6)
    assert cross_entropy(SCORES, LABELS).item() == pytest.approx(entropy, rel=1e-6)
    value = segmentation_loss(SCORES, LABELS, LossConfig(dice=0.3, cross_entropy=2.0)).item()
    assert value == pytest.approx(0.3 * dice + 2 * entropy, rel=1e-4)


@pytest.mark.parametrize("over_batch", [True, False])
def test_dice_equals_monai(over_batch):
    from monai.losses import DiceLoss

    draw = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 4, 6, 5, 7, generator=draw)
    labels = torch.randint(0, 4, (3, 6, 5, 7), generator=draw)
    options = {"include_background": False, "to_onehot_y": True, "softmax": True, "batch": over_batch}
    peer = DiceLoss(**options, smooth_nr=1e-5, smooth_dr=1e-5)(scores, labels[:, None])
    assert soft_dice_loss(scores, labels, over_batch=over_batch).item() == pytest.approx(peer.item(), rel=1e-5)


def test_ignored_voxels_do_not_count():
    draw = torch.Generator().manual_seed(1)
    scores = torch.randn(1, 3, 8, 8, generator=draw)
    labels = torch.randint(0, 3, (1, 8, 8), generator=draw)
    labels[:, :, 5:] = 255
    whole = segmentation_loss(scores, labels, ignore=255)
    part = segmentation_loss(scores[..., :5], labels[..., :5])
    assert whole.item() == pytest.approx(part.item(), rel=1e-5)
    other = scores.clone()
    other[..., 5:] += 3
    assert segmentation_loss(other, labels, ignore=255).item() == pytest.approx(whole.item(), rel=1e-6)


@pytest.mark.parametrize("ignore", [None, 255])
@pytest.mark.parametrize("over_batch", [True, False])
def test_fractions_of_whole_voxels_cost_what_labels_cost(over_batch, ignore):
    draw = torch.Generator().manual_seed(1)
    scores = torch.randn(2, 3, 8, 6, generator=draw)
    labels = torch.randint(0, 3, (2, 8, 6), generator=draw)
    fractions = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    if ignore is not None:
        labels[0, :3], fractions[0, :, :3] = ignore, 0.0
    config = LossConfig(batch_dice=over_batch)
    found, expected = (segmentation_loss(scores, truth, config, ignore=ignore).item() for truth in (fractions, labels))
    assert found == pytest.approx(expected, rel=1e-6)


def test_fractions_are_averaged_for_coarser_resolutions():
    fractions = torch.zeros(1, 2, 4, 4)
    fractions[:, 0], fractions[0, :, 0, 0] = 1.0, torch.tensor([0.0, 1.0])
    perfect = torch.tensor([[0.75, 0.25]]).log().expand(1, 2).reshape(1, 2, 1, 1)
    coarse = torch.cat([torch.cat([perfect, perfect * 0], 2), torch.zeros(1, 2, 2, 1)], 3)
    coarse.requires_grad_()
    segmentation_loss([torch.zeros(1, 2, 4, 4), coarse], fractions, LossConfig(dice=0.0)).backward()
    # The gradient of cross-entropy is the softmax less the share.
    assert coarse.grad[0, :, 0, 0].abs().max() < 1e-6
    assert coarse.grad[0, :, 1, 1].abs().max() > 1e-3


def test_nothing_but_ignored_gives_no_nan():
    scores = torch.zeros(1, 2, 4, 4, requires_grad=True)
    loss = segmentation_loss(scores, torch.full((1, 4, 4), 255), ignore=255)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(scores.grad).all()


def test_every_resolution_counts_by_its_weight():
    draw = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 2, (1, 8, 8), generator=draw)
    fine, coarse = torch.randn(1, 2, 8, 8, generator=draw), torch.randn(1, 2, 4, 4, generator=draw)
    first, second = deep_supervision_weights(2)
    alone = first * segmentation_loss(fine, labels) + second * segmentation_loss(coarse, labels[:, 1::2, 1::2])
    assert (first, second) == pytest.approx((2 / 3, 1 / 3))
    assert segmentation_loss([fine, coarse], labels).item() == pytest.approx(alone.item(), rel=1e-6)


def test_perfect_scores_cost_nothing():
    labels = torch.randint(0, 3, (2, 6, 6, 6), generator=torch.Generator().manual_seed(3))
    scores = 100.0 * torch.nn.functional.one_hot(labels, 3).movedim(-1, 1)
    assert segmentation_loss(scores, labels).item() < 1e-6


# Three parts: 1 lies in the whole alone, 2 in whole and core.
REGIONS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
# Four voxels in a row: background, 1, 2, 2.
PARTS = torch.tensor([[0, 1, 2, 2]])


def scores_of(whole: list[float], core: list[float]) -> torch.Tensor:
    """Give scores whose sigmoids are these."""
    return torch.tensor([[whole, core]]).logit()


WHOLE, CORE = [0.5, 0.75, 0.5, 0.25], [0.25, 0.5, 0.75, 0.5]


def test_dice_and_cross_entropy_of_regions_computed_manually():
    found = scores_of(WHOLE, CORE)
    dice = [2 * 1.5 / (2.0 + 3.0), 2 * 1.25 / (2.0 + 2.0)]
    value = region_loss(found, PARTS, REGIONS, LossConfig(cross_entropy=0.0)).item()
    assert value == pytest.approx(1 - sum(dice) / 2, abs=1e-5)
    logs = [0.5, 0.75, 0.5, 0.25, 0.75, 0.5, 0.75, 0.5]
    value = region_loss(found, PARTS, REGIONS, LossConfig(dice=0.0)).item()
    entropy = -sum(map(math.log, logs)) / 8
    assert value == pytest.approx(entropy, rel=1e-5)
    value = region_loss(found, PARTS, REGIONS, LossConfig(dice=0.3, cross_entropy=2.0)).item()
    assert value == pytest.approx(0.3 * (1 - sum(dice) / 2) + 2 * entropy, rel=1e-4)


def test_perfect_regions_cost_nothing():
    perfect = REGIONS[PARTS].movedim(-1, 1) * 40 - 20
    assert region_loss(perfect, PARTS, REGIONS).item() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("over_batch", [True, False])
def test_region_loss_equals_monai(over_batch):
    from monai.losses import DiceLoss

    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (3, 6, 5, 7), generator=draw)
    found = torch.randn(3, 2, 6, 5, 7, generator=draw)
    truth = REGIONS[labels].movedim(-1, 1)
    peer = DiceLoss(sigmoid=True, batch=over_batch, smooth_nr=1e-5, smooth_dr=1e-5)(found, truth)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(found, truth)
    value = region_loss(found, labels, REGIONS, LossConfig(batch_dice=over_batch)).item()
    assert value == pytest.approx((peer + entropy).item(), rel=1e-5)


def test_ignored_voxels_do_not_count_in_regions():
    draw = torch.Generator().manual_seed(1)
    found = torch.randn(2, 2, 8, 8, generator=draw)
    labels = torch.randint(0, 3, (2, 8, 8), generator=draw)
    labels[..., 5:] = 255
    part = region_loss(found[..., :5], labels[..., :5], REGIONS)
    assert region_loss(found, labels, REGIONS, counted=Counted(255)).item() == pytest.approx(part.item(), rel=1e-5)
    everything = torch.full((1, 4, 4), 255)
    assert torch.isfinite(region_loss(torch.zeros(1, 2, 4, 4), everything, REGIONS, counted=Counted(255)))


def test_fractions_of_whole_voxels_cost_what_regions_cost():
    draw = torch.Generator().manual_seed(2)
    labels = torch.randint(0, 3, (2, 4, 4, 4), generator=draw)
    found = [torch.randn(2, 2, 4, 4, 4, generator=draw)]
    one_hot = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    expected = region_loss(found, labels, REGIONS).item()
    assert region_loss(found, one_hot, REGIONS).item() == pytest.approx(expected, rel=1e-6)
