"""One step of training, against what its gradients say it must be."""

import pytest
import torch
from tiny_dataset import run_without_cases, train_config
from torch import nn

from medseg.training.augment_config import AugmentConfig
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.patches import Batch
from medseg.training.step import Stepper

PATCH = (6, 6, 6)
KINDS = ("rotation", "scaling", "noise", "blur", "brightness", "contrast", "low_resolution", "gamma", "gamma_inverted")
NOTHING = AugmentConfig(**dict.fromkeys(KINDS, 0.0))
MOMENTUM, RATE = 0.9, 0.1


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv3d(1, 3, 3, padding=1)


def batch(first: int = 0) -> Batch:
    draw = torch.Generator().manual_seed(first)
    labels = torch.randint(0, 3, (2, *PATCH), generator=draw)
    return Batch(first, torch.randn(2, 1, *PATCH, generator=draw), labels)


def stepper_of(network: nn.Module, **changes) -> Stepper:
    config = train_config(**changes)
    augmentation = Augmentation(NOTHING, patch=PATCH, spacing=(1.0, 1.0, 1.0), classes=3, seed=0)
    return Stepper(run_without_cases(config), network, augmentation)


def step(batches: list[Batch], *, clip: float, precision: str = "fp32") -> torch.Tensor:
    """How far a first step of SGD moves the weights: the gradient, times rate and Nesterov's 1 + momentum."""
    sgd = {"name": "sgd", "learning_rate": RATE, "momentum": MOMENTUM, "weight_decay": 0.0, "clip": clip}
    moved, before = network(), network()
    stepper_of(moved, precision=precision, optimizer=sgd).step(batches, 0, RATE)
    pairs = zip(moved.parameters(), before.parameters(), strict=True)
    return torch.cat([(after - start).detach().flatten() for after, start in pairs]) / (RATE * (1 + MOMENTUM))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_gradient_is_shortened_to_the_clip(precision):
    whole = step([batch()], clip=1e9, precision=precision)
    assert whole.norm() > 0.1
    for clip in (0.01, 0.05):
        short = step([batch()], clip=clip, precision=precision)
        assert float(short.norm()) == pytest.approx(clip, rel=1e-3)
        assert float(torch.cosine_similarity(short, whole, dim=0)) == pytest.approx(1, abs=1e-4)


def test_a_short_gradient_is_left_alone():
    whole = step([batch()], clip=1e9)
    assert torch.allclose(step([batch()], clip=2 * float(whole.norm())), whole, atol=1e-6)


def test_accumulated_batches_move_by_their_mean():
    one, other = batch(0), batch(2)
    mean = (step([one], clip=1e9) + step([other], clip=1e9)) / 2
    assert torch.allclose(step([one, other], clip=1e9), mean, atol=1e-5)


def test_the_loss_is_the_sum_of_its_terms_by_their_weights():
    def loss(dice: float, cross_entropy: float) -> float:
        stepper = stepper_of(network(), loss={"dice": dice, "cross_entropy": cross_entropy})
        return stepper.step([batch()], 0, RATE)

    assert loss(0.25, 2.0) == pytest.approx(0.25 * loss(1.0, 0.0) + 2 * loss(0.0, 1.0), rel=1e-5)
    assert loss(1.0, 0.0) != pytest.approx(loss(0.0, 1.0), rel=0.1)
