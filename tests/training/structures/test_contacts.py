"""The contact loss: the weight map of touching objects, by hand."""

import numpy as np
import pytest
import torch
from tiny_dataset import train_config

from medseg.data.border_class import border_labels
from medseg.errors import ConfigError
from medseg.training.config import LossConfig
from medseg.training.structures.contacts import SMALLEST, contact_loss
from medseg.training.structures.terms import StructureLoss
from medseg.types import Geometry, InstanceRow, Instances, LabelClass, LabelTable


def two(gap, *, depth=1):
    """Two squares of 12 voxels side by side, `gap` apart, as interiors and borders: truth (1, 2, X, Y[, Z])."""
    ids = np.zeros((40, 30, depth), np.int32)
    ids[4:16, 6:18] = 1
    ids[16 + gap : 28 + gap, 6:18] = 2
    rows = tuple(InstanceRow(n, 1, True, int((ids == n).sum())) for n in (1, 2))
    table = LabelTable((LabelClass(1, "nucleus"),))
    labels = border_labels(Instances(ids, Geometry(np.eye(4), ids.shape), rows, table), 1.5).array
    labels = labels[..., 0] if depth == 1 else labels
    return torch.stack([torch.from_numpy(labels == value) for value in (1, 2)])[None].float()


def test_it_is_the_extra_cross_entropy_of_border_between_objects_and_of_no_other_voxel():
    truth = two(0)
    probabilities = torch.full_like(truth, 0.25)
    # The border between the squares is two voxels wide and twelve long, less two at each end, near the background.
    expected = -2 * (12 - 4) * np.log(0.25) / (40 * 30)
    assert contact_loss(probabilities, truth).item() == pytest.approx(expected, rel=1e-5)
    probabilities.requires_grad_()
    contact_loss(probabilities, truth).backward()
    assert sorted(set(np.argwhere(probabilities.grad[0, 1].numpy())[:, 0].tolist())) == [15, 16]
    assert (probabilities.grad[0, 0] == 0).all()


def test_a_run_adds_it_with_its_weight():
    scores = torch.randn(1, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    truth = two(0)
    labels = (truth * torch.tensor([1.0, 2.0])[:, None, None]).sum(1).long()
    expected = 10 * contact_loss(scores.softmax(1)[:, 1:], truth)
    assert StructureLoss(LossConfig(contact=10))(scores, labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_objects_that_do_not_touch_have_none():
    truth = two(1)
    assert contact_loss(torch.full_like(truth, 0.25), truth).item() == 0


def test_in_three_dimensions_and_where_nothing_is_predicted_it_is_finite():
    truth = two(0, depth=9)
    expected = -2 * (12 - 4) * 9 * np.log(SMALLEST) / (40 * 30 * 9)
    assert contact_loss(torch.zeros_like(truth), truth).item() == pytest.approx(expected, rel=1e-5)


def test_without_a_border_it_is_refused():
    with pytest.raises(ConfigError, match=r"loss\.contact needs the border"):
        train_config(loss={"contact": 1.0})
