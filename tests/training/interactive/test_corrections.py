"""Batches that a network that takes clicks learns from."""

import numpy as np
import pytest
import torch
from tiny_dataset import run_without_cases, train_config

from medseg.models.interactive_card import MAPS
from medseg.training.interactive.corrections import Corrections, _on_background
from medseg.training.interactive.start_masks import with_errors
from medseg.training.interactive_config import InteractiveConfig
from medseg.training.samples.prepared import IGNORED

PATCH = (20, 18, 14)
DATA = run_without_cases(train_config()).dataset


def labels() -> torch.Tensor:
    found = torch.zeros(2, *PATCH, dtype=torch.long)
    found[:, 3:9, 4:12, 3:10] = 1
    found[:, 12:17, 4:12, 3:10] = 2
    found[1, :, :, 0] = IGNORED
    return found


def blank(images: torch.Tensor) -> torch.Tensor:
    """What a network gives that finds nothing."""
    return torch.stack([torch.ones_like(images[:, 0]), torch.zeros_like(images[:, 0])], 1)


def corrected(first: int, *, seed: int = 0, annotated=None, **changes):
    asked = []

    def scores_of(images):
        asked.append(images)
        return blank(images)

    corrections = Corrections(InteractiveConfig(**changes), DATA, seed)
    images = torch.randn(2, 1, *PATCH, generator=torch.Generator().manual_seed(0))
    return *corrections(scores_of, images, labels(), first, annotated), asked


def test_images_get_the_maps_and_labels_are_of_the_class_in_hand():
    for first in range(0, 20, 2):
        images, target, asked = corrected(first)
        assert images.shape == (2, 1 + len(MAPS), *PATCH)
        assert all(shown.shape == images.shape for shown in asked)
        for one, whole in zip(target, labels(), strict=True):
            assert torch.equal(one == IGNORED, whole == IGNORED)
            assert any(torch.equal(one == 1, whole == value) for value in (1, 2))


def test_it_is_a_function_of_seed_and_sample_alone():
    first, again, other = corrected(6), corrected(6), corrected(6, seed=1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_corrections_lie_in_what_the_network_has_wrong():
    """Its answer, nothing, is the mask of the next round, and every later click lies in what it misses."""
    rounds = set()
    for first in range(0, 40, 2):
        images, target, asked = corrected(first, scribbles=0.0, from_nothing=0.0)
        rounds.add(len(asked))
        if not asked:
            continue
        assert not images[:, 1].any()  # the present mask
        newest = images[:, 2:] == 1
        for shown, truth in zip(newest, target, strict=True):
            assert shown[0].any()
            assert not shown[1].any()
            assert (truth[shown[0]] == 1).all()
    assert rounds == {0, 1, 2}  # of three corrections the first needs no pass


def test_a_patch_of_which_nothing_is_drawn_has_a_click_to_go_by():
    for first in range(0, 40, 2):
        images, _, _ = corrected(first, from_nothing=1.0)
        for shown in images:
            assert shown[1:].any()


def test_a_class_that_a_sample_does_not_annotate_is_never_in_hand():
    annotated = torch.tensor([[True, True, False], [True, False, True]])
    for first in range(0, 20, 2):
        _, target, _ = corrected(first, annotated=annotated)
        assert torch.equal(target[0] == 1, labels()[0] == 1)
        assert torch.equal(target[1] == 1, labels()[1] == 2)


def test_of_objects_one_is_in_hand_or_it_is_to_be_deleted():
    """Two objects of a class: the target is one of them or nothing, and at times the mask to correct has both."""
    two = torch.zeros(1, *PATCH, dtype=torch.long)
    two[0, 2:8, 4:12, 3:10], two[0, 11:17, 4:12, 3:10] = 1, 1
    first, second = two[0].clone(), two[0].clone()
    first[9:], second[:9] = 0, 0
    targets, both, deleted = set(), 0, 0
    for number in range(60):
        corrections = Corrections(InteractiveConfig(objects=True, corrections=1, error_voxels=0.5), DATA, 0)
        images, target = corrections(blank, torch.zeros(1, 1, *PATCH), two, number)
        named = {"first": first, "second": second, "none": torch.zeros_like(first)}
        (name,) = [name for name, mask in named.items() if torch.equal(target[0], mask)]
        targets.add(name)
        both += bool(images[0, 1, :9].sum() > 200 and images[0, 1, 9:].sum() > 200)
        if name == "none":
            deleted += 1
            assert images[0, 3].any() or images[0, 5].any()  # marked as outside
            assert not images[0, 2].any()
    assert targets == {"first", "second", "none"}
    assert both > 3
    assert deleted > 1


def test_an_object_to_be_deleted_lies_where_none_is_if_the_patch_has_room():
    every = np.zeros((20, 20, 1), bool)
    every[2:8, 2:8] = True
    for seed in range(10):
        found = _on_background(every, every, np.random.default_rng(seed))
        assert found.sum() == every.sum()
        assert not (found & every).any()
    full = np.ones((20, 20, 1), bool)
    assert _on_background(every, full, np.random.default_rng(0)) is every


@pytest.mark.parametrize("shape", [(20, 18, 14), (20, 18, 1)])
def test_masks_have_errors_of_the_size_that_is_asked_for(shape):
    truth = np.zeros(shape, bool)
    truth[4:15, 4:14, : max(1, shape[2] - 3)] = True
    changed = {}
    for voxels in (0.5, 4.0):
        random = np.random.default_rng(0)
        masks = [with_errors(truth, random, voxels) for _ in range(20)]
        assert all(one.shape == shape and one.dtype == bool for one in masks)
        changed[voxels] = np.mean([np.mean(one != truth) for one in masks])
    assert 0 < changed[0.5] < changed[4.0] < 0.5
    assert any(with_errors(np.zeros(shape, bool), np.random.default_rng(n), 2.0).any() for n in range(3))
