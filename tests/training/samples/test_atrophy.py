"""Balls thinned by known steps: what is lost, what turns to fluid, and what stays."""

import pytest
import torch
import torch.nn.functional as F

from medseg.training.augment_config import AugmentConfig
from medseg.training.samples.atrophy import Atrophy, thin
from medseg.training.samples.augment import Augmentation

SIZE, RADIUS = 25, 7
NOISE = torch.randn(1, SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def ball():
    """Gray ball with two classes in white surroundings, and some fluid in a corner, as in T1."""
    axis = torch.arange(SIZE) - SIZE // 2
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    labels = ((x**2 + y**2 + z**2) < RADIUS**2).long() * (1 + (y > 0).long())
    image = torch.where(labels > 0, 0.0, 1.0)
    image[:6, :, :] = -3.0
    return image[None], labels


@pytest.mark.parametrize(("axis", "sign"), [(0, 1), (0, -1), (1, 1), (2, -1)])
def test_the_side_that_the_fluid_is_on_is_lost_and_nothing_else(axis, sign):
    image, labels = ball()
    lost, wide = [0, 0, 0], [0, 0, 0]
    lost[axis], wide[axis] = 3 * sign, 4 * sign
    thinned, left = thin(image, labels, Atrophy(tuple(lost), tuple(wide)), NOISE, 3)
    inside = labels > 0
    # A ball without the part from which three steps to that side lead out of it.
    expected = torch.where(inside & (labels.roll(-3 * sign, axis) > 0), labels, 0)
    assert torch.equal(left, expected)
    beyond = (labels.roll(4 * sign, axis) > 0) | inside
    fluid = beyond & (left == 0)
    assert 0.2 < float((inside & fluid).sum() / inside.sum()) < 0.45
    core = F.avg_pool3d(fluid[None].float(), 3, 1, 1)[0] == 1
    assert core.any()
    assert thinned[0][core].max() < -2
    untouched = F.max_pool3d(fluid[None].float(), 3, 1, 1)[0] == 0
    assert torch.equal(thinned[0][untouched], image[0][untouched])


def test_fractions_are_thinned_as_classes_are():
    image, labels = ball()
    atrophy = Atrophy((2, -1, 1), (3, 0, 2))
    fractions = F.one_hot(labels, 3).movedim(-1, 0).float()
    expected_image, expected = thin(image, labels, atrophy, NOISE, 3)
    found_image, found = thin(image, fractions, atrophy, NOISE, 3)
    assert torch.equal(found_image, expected_image)
    assert torch.equal(found.argmax(0), expected)
    assert torch.equal(found.sum(0), torch.ones_like(found[0]))


def test_ignored_voxels_stay_ignored():
    image, labels = ball()
    labels[labels == 2] = 3
    _, left = thin(image, labels, Atrophy((0, 2, 0), (0, 3, 0)), NOISE, 3)
    assert torch.equal(left == 3, labels == 3)
    assert int((left == 1).sum()) < int((labels == 1).sum())
    fractions = F.one_hot(labels, 4).movedim(-1, 0)[:3].float()
    _, found = thin(image, fractions, Atrophy((0, 2, 0), (0, 3, 0)), NOISE, 3)
    assert torch.equal(found, F.one_hot(left, 4).movedim(-1, 0)[:3].float())


def augmented(number=0, **changed):
    image, labels = ball()
    config = AugmentConfig(**dict.fromkeys(("rotation", "scaling", "noise", "blur", "gamma"), 0.0) | changed)
    made = Augmentation(config, (SIZE, SIZE, SIZE), (1.0, 1.0, 1.0), 3, seed=0)
    return made(image[None], labels[None], number)


def test_patches_are_thinned_by_their_number_and_only_where_asked():
    assert torch.equal(augmented()[1][0], ball()[1])
    left = [int((augmented(n, atrophy=1.0, atrophy_mm=(2, 3))[1] > 0).sum()) for n in range(4)]
    assert all(count < int((ball()[1] > 0).sum()) for count in left)
    assert len(set(left)) > 1
    once, again = (augmented(2, atrophy=1.0) for _ in range(2))
    assert torch.equal(once[0], again[0])
    assert torch.equal(once[1], again[1])


def test_slices_are_thinned_in_their_own_plane():
    config = AugmentConfig(atrophy=1.0, atrophy_mm=(3, 3), rotation=0, scaling=0)
    image, labels = ball()
    middle = image[None, :, :, :, 12:13], labels[None, :, :, 12:13]
    _, left = Augmentation(config, (SIZE, SIZE, 1), (1.0, 1.0, 1.0), 3, seed=0)(*middle, 0)
    assert 0 < int((left > 0).sum()) < int((middle[1] > 0).sum())
