import numpy as np
import pytest
import torch
from scipy.ndimage import label

from medseg.training.structures.small_objects import SMOOTH, blob_loss


def by_masking(probabilities, truth):
    """As the authors have it: for every component the others are masked out of the prediction, then Dice is taken."""
    losses = []
    for place in np.ndindex(truth.shape[:2]):
        mask = truth[place].numpy() > 0
        ids, count = label(mask, np.ones((3,) * mask.ndim))
        for number in range(1, count + 1):
            blob = ids == number
            p = probabilities[place].numpy() * (~mask | blob)
            losses.append(1 - (2 * (p * blob).sum() + SMOOTH) / (p.sum() + blob.sum() + SMOOTH))
    return float(np.mean(losses))


@pytest.mark.parametrize("shape", [(2, 2, 30, 30), (2, 1, 12, 12, 12)])
def test_it_equals_masking_for_every_component(shape):
    draw = torch.Generator().manual_seed(0)
    probabilities = torch.rand(shape, generator=draw)
    truth = (torch.rand(shape, generator=draw) > 0.93).float()
    assert blob_loss(probabilities, truth).item() == pytest.approx(by_masking(probabilities, truth), rel=1e-4)


def test_a_missed_small_object_costs_as_much_as_a_missed_large_one():
    truth = torch.zeros(1, 1, 20, 20)
    truth[..., 1:3, 1:3] = 1
    truth[..., 8:18, 8:18] = 1
    no_small, no_large = truth.clone(), truth.clone()
    no_small[..., 1:3, 1:3] = 0
    no_large[..., 8:18, 8:18] = 0
    assert blob_loss(truth, truth).item() == pytest.approx(0, abs=1e-6)
    for missed in (no_small, no_large):
        assert blob_loss(missed, truth).item() == pytest.approx(0.5, abs=1e-5)


def test_without_an_object_it_is_zero_and_has_a_gradient():
    found = torch.rand(1, 1, 6, 6).requires_grad_()
    loss = blob_loss(found, torch.zeros(1, 1, 6, 6))
    loss.backward()
    assert loss.item() == 0
    assert found.grad.eq(0).all()
