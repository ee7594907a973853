import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.morphology import dilation, skeletonize

from medseg.training.structures.centerlines import SMOOTH_RECALL, cldice_loss, skeleton_recall_loss, soft_skeleton


def drawn(*shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=draw), (torch.rand(shape, generator=draw) > 0.6).float()


def smooth(field):
    """Blobs and tubes instead of single voxels."""
    pool = F.avg_pool2d if field.dim() == 4 else F.avg_pool3d
    return (pool(field, 3, 1, 1) > 0.45).float()


@pytest.mark.parametrize("shape", [(2, 1, 24, 20), (2, 1, 14, 12, 10)])
def test_cldice_of_a_class_is_monais(shape):
    from monai.losses import SoftclDiceLoss

    probabilities, truth = drawn(*shape)
    truth = smooth(truth)
    peer = SoftclDiceLoss(iter_=4, smooth=1e-12)(probabilities, truth)
    assert cldice_loss(probabilities, truth, iterations=4).item() == pytest.approx(peer.item(), rel=1e-5)


def test_cldice_of_classes_is_the_mean_of_each():
    probabilities, truth = drawn(2, 3, 20, 20)
    each = [cldice_loss(probabilities[:, k : k + 1], truth[:, k : k + 1], iterations=2).item() for k in range(3)]
    assert cldice_loss(probabilities, truth, iterations=2).item() == pytest.approx(sum(each) / 3, rel=1e-6)


def test_the_soft_skeleton_of_a_bar_is_its_middle_line():
    bar = torch.zeros(1, 1, 9, 30)
    bar[..., 3:6, 5:25] = 1
    skeleton = soft_skeleton(bar, 2)[0, 0]
    assert skeleton[4, 8:22].eq(1).all()
    assert skeleton[[3, 5], 8:22].eq(0).all()


def test_a_gap_in_a_tube_costs_more_than_as_many_voxels_of_its_side():
    """What Dice does not see."""
    tube = torch.zeros(1, 1, 9, 30)
    tube[..., 3:6, :] = 1
    gap, thinner = tube.clone(), tube.clone()
    gap[..., 14:17] = 0
    thinner[..., 3, 10:19] = 0
    assert gap.sum() == thinner.sum()
    assert cldice_loss(tube, tube, iterations=3).item() == pytest.approx(0, abs=1e-6)
    assert cldice_loss(gap, tube, iterations=3) > cldice_loss(thinner, tube, iterations=3) + 0.01


@pytest.mark.parametrize("over_batch", [True, False])
@pytest.mark.parametrize("shape", [(2, 2, 40, 40), (2, 2, 16, 16, 16)])
def test_skeleton_recall_equals_the_authors_computation(shape, over_batch):
    """Their transform (skeletonize, dilate twice, times the labels), then their soft recall, for classes apart."""
    probabilities, truth = drawn(*shape, seed=3)
    truth = torch.zeros(shape)
    for n, k in np.ndindex(shape[:2]):
        # Odd widths: some even ones vanish in the authors' thinning, where each component here keeps a skeleton.
        truth[n, k, 3 + n : 6 + n, 2 + 3 * k :] = 1
        truth[n, k, 5 : 10 + 3 * n, 5 : 8 + 2 * k] = 1
        truth[n, k, ..., :4] = 0
        truth[n, k, ..., 9:] = 0
    tubes = np.zeros(shape, np.float32)
    for place in np.ndindex(shape[:2]):
        mask = truth[place].numpy() > 0
        thin = (skeletonize(mask) > 0).astype(np.int16)
        tubes[place] = dilation(dilation(thin)) * mask
    across = tuple(range(2, len(shape)))
    found, whole = (probabilities.numpy() * tubes).sum(across), tubes.sum(across)
    if over_batch:
        found, whole = found.sum(0), whole.sum(0)
    recall = ((found + SMOOTH_RECALL) / np.clip(whole + SMOOTH_RECALL, 1e-8, None)).mean()
    loss = skeleton_recall_loss(probabilities, truth, over_batch=over_batch)
    assert loss.item() == pytest.approx(1 - recall, rel=1e-5)


def test_a_patch_without_the_class_costs_nothing_and_gives_no_nan():
    empty = torch.zeros(1, 1, 8, 8, 8)
    found = torch.full_like(empty, 1e-3).requires_grad_()
    (cldice_loss(found, empty, iterations=2) + skeleton_recall_loss(found, empty, over_batch=True)).backward()
    assert torch.isfinite(found.grad).all()
    assert skeleton_recall_loss(empty, empty, over_batch=True).item() == 0
    assert cldice_loss(empty, empty, iterations=2).item() == 0
