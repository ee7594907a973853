import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from medseg.training.structures.boundaries import boundary_loss


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0), (1.0, 1.0, 3.0)])
def test_it_equals_the_authors_computation(spacing):
    """Their distance map of every class that a patch holds, times its probability, averaged over everything."""
    shape = (2, 2, *(12, 10, 8)[: len(spacing)])
    draw = torch.Generator().manual_seed(0)
    probabilities = torch.rand(shape, generator=draw)
    truth = (torch.rand(shape, generator=draw) > 0.7).float()
    truth[1, 0] = 0
    distances = np.zeros(shape)
    for place in np.ndindex(shape[:2]):
        inside = truth[place].numpy() > 0
        if inside.any():
            outside = ~inside
            distances[place] = (
                distance_transform_edt(outside, sampling=spacing) * outside
                - (distance_transform_edt(inside, sampling=spacing) - 1) * inside
            )
    expected = (probabilities.numpy() * distances).mean()
    assert boundary_loss(probabilities, truth, None, spacing).item() == pytest.approx(expected, rel=1e-5)


def test_a_false_positive_costs_by_its_distance():
    truth = torch.zeros(1, 1, 20, 1)
    truth[0, 0, :5] = 1
    base = boundary_loss(truth, truth, None, (1.0, 1.0)).item()
    for away in (1, 7, 15):
        found = truth.clone()
        found[0, 0, 4 + away] = 1
        assert boundary_loss(found, truth, None, (1.0, 1.0)).item() == pytest.approx(base + away / 20, rel=1e-5)


def test_a_patch_of_nothing_but_the_class_has_no_boundary():
    full = torch.ones(1, 1, 4, 4)
    assert boundary_loss(full, full, None, (1.0, 1.0)).item() == 0
