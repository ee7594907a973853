"""The losses of structures as a run has them: classes and regions, ignored voxels, partial labels, 2D and 3D."""

import pytest
import torch
from tiny_dataset import train_config

from medseg.training.config import LossConfig
from medseg.training.structures.boundaries import boundary_loss
from medseg.training.structures.centerlines import cldice_loss, skeleton_recall_loss
from medseg.training.structures.small_objects import blob_loss
from medseg.training.structures.terms import StructureLoss

EACH = {
    "cldice": LossConfig(cldice=0.5, cldice_iterations=2),
    "skeleton_recall": LossConfig(skeleton_recall=0.5),
    "blob": LossConfig(blob=0.5),
    "boundary": LossConfig(boundary=0.5),
}
REGIONS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])


def scores_and_labels(*size, outputs=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.zeros(2, *size, dtype=torch.long)
    labels[:, 1:5, 1:5] = 1
    labels[:, 6:8, 2:9] = 2
    return torch.randn(2, outputs, *size, generator=draw), labels


def alone(name, p, truth, counted=None):
    return (
        0.5
        * {
            "cldice": lambda: cldice_loss(p, truth, iterations=2),
            "skeleton_recall": lambda: skeleton_recall_loss(p, truth, over_batch=True),
            "blob": lambda: blob_loss(p, truth),
            "boundary": lambda: boundary_loss(p, truth, counted, (1.0,) * (truth.dim() - 2)),
        }[name]()
    )


@pytest.mark.parametrize("size", [(12, 10), (12, 10, 4)])
@pytest.mark.parametrize("name", EACH)
def test_classes_and_regions_get_their_probabilities_and_labels(name, size):
    scores, labels = scores_and_labels(*size)
    truth = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()[:, 1:]
    found = StructureLoss(EACH[name])([scores, scores[..., ::2]], labels)
    assert found.item() == pytest.approx(alone(name, scores.softmax(1)[:, 1:], truth).item(), rel=1e-5)
    nested = REGIONS[labels].movedim(-1, 1)
    found = StructureLoss(EACH[name], regions=REGIONS)(scores[:, :2], labels)
    assert found.item() == pytest.approx(alone(name, scores[:, :2].sigmoid(), nested).item(), rel=1e-5)
    fractions = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).float()
    soft = StructureLoss(EACH[name], regions=REGIONS)(scores[:, :2], fractions)
    assert soft.item() == pytest.approx(found.item(), rel=1e-5)


@pytest.mark.parametrize("regions", [None, REGIONS])
@pytest.mark.parametrize("name", EACH)
def test_scores_of_ignored_voxels_change_nothing(name, regions):
    scores, labels = scores_and_labels(12, 10, 4, outputs=3 if regions is None else 2)
    labels[:, 9:] = 255
    other = scores.clone()
    other[:, :, 9:] += 3
    loss = StructureLoss(EACH[name], ignore=255, regions=regions)
    assert loss(other, labels).item() == pytest.approx(loss(scores, labels).item(), rel=1e-6)
    everything = scores.requires_grad_()
    loss(everything, torch.full_like(labels, 255)).backward()
    assert torch.isfinite(everything.grad).all()


@pytest.mark.parametrize("name", EACH)
def test_a_class_or_region_that_is_not_annotated_gets_no_gradient(name):
    scores, labels = scores_and_labels(12, 10)
    labels[labels == 2] = 0
    annotated = torch.tensor([[True, True, False]]).expand(2, 3)
    # Whether the network calls a voxel background or the class that is not annotated makes no difference.
    swapped = scores[:, [2, 1, 0]]
    loss = StructureLoss(EACH[name])
    assert loss(swapped, labels, annotated).item() == pytest.approx(loss(scores, labels, annotated).item(), rel=1e-5)
    of_regions = scores[:, :2].clone().requires_grad_()
    StructureLoss(EACH[name], regions=REGIONS)(of_regions, labels, annotated[:, 1:]).backward()
    assert of_regions.grad[:, 1].eq(0).all()
    assert of_regions.grad[:, 0].abs().max() > 0


def test_nothing_asked_for_is_nothing_computed():
    scores, labels = scores_and_labels(12, 10)
    assert StructureLoss(LossConfig())(scores, labels).item() == 0


@pytest.mark.parametrize(("spacing", "expected"), [([1.0, 2.0, 3.0], (1.0, 2.0, 3.0)), ([1.0, 1.0, None], None)])
def test_distances_are_those_of_the_spacing_where_it_is_known(spacing, expected):
    config = train_config()
    config = config.model_copy(update={"input": config.input.model_copy(update={"spacing": tuple(spacing)})})
    assert StructureLoss.from_config(config, ignore=None, regions=None).spacing == expected
