"""The curve of held-out patches: Dice by hand, of classes, regions, voxels to ignore and what is not annotated."""

import csv

import pytest
import torch
from tiny_dataset import train_config, write_msd

from medseg.training.run import train
from medseg.training.selection.held_out_patches import DICE, HeldOutPatches

SHAPE = (8, 6, 4)


def patches(labels, *, outputs=2, counted=None, is_exclusive=True):
    truth = torch.stack([labels == n for n in range(1, outputs + 1)], 1)
    counted = torch.ones_like(truth) if counted is None else counted
    return HeldOutPatches(torch.zeros(len(labels), 1, *SHAPE), truth, counted, is_exclusive)


def answering(answers):
    """Give one answer after another."""
    left = list(answers)
    return lambda image: left.pop(0)


def one_hot(labels, outputs=2):
    return torch.stack([labels == n for n in range(outputs + 1)])[None].float()


@pytest.fixture
def labels():
    labels = torch.zeros(2, *SHAPE, dtype=torch.long)
    labels[0, :4] = 1
    labels[1, 2:4, :3] = 2
    return labels


def test_what_is_right_has_1_and_what_misses_a_class_half(labels):
    right = [one_hot(one) for one in labels]
    assert patches(labels).dice(answering(right)) == 1.0
    assert patches(labels).dice(answering([right[0], one_hot(torch.zeros_like(labels[1]))])) == 0.5


def test_voxels_of_all_patches_count_together(labels):
    """Class 1 is found in half of its place and in as many voxels of the other patch: 2 x 48 / (96 + 96)."""
    found = torch.zeros_like(labels)
    found[0, :2], found[1, 6:] = 1, 1
    found[1][labels[1] == 2] = 2
    expected = (2 * 48 / (96 + 96) + 1) / 2
    assert patches(labels).dice(answering([one_hot(one) for one in found])) == pytest.approx(expected)


def test_what_is_not_counted_is_no_error(labels):
    counted = torch.ones(2, 2, *SHAPE, dtype=torch.bool)
    counted[1, 0] = False  # class 1 is not annotated in the second case
    found = labels.clone()
    found[1, 6:] = 1
    assert patches(labels, counted=counted).dice(answering([one_hot(one) for one in found])) == 1.0


def test_regions_may_share_voxels():
    truth = torch.zeros(1, 2, *SHAPE, dtype=torch.bool)
    truth[0, 0, :6], truth[0, 1, 2:4] = True, True
    drawn = HeldOutPatches(torch.zeros(1, 1, *SHAPE), truth, torch.ones_like(truth), is_exclusive=False)
    assert drawn.dice(answering([truth.float() * 8 - 4])) == 1.0


def test_a_run_has_the_curve_and_its_report_shows_it(tmp_path):
    train(write_msd(tmp_path / "balls"), tmp_path / "out", config=train_config(), device="cpu")
    with (tmp_path / "out" / "history.csv").open() as stream:
        values = [float(row[DICE]) for row in csv.DictReader(stream)]
    assert values
    assert all(0 <= value <= 1 for value in values)
    assert "Dice in held-out patches" in (tmp_path / "out" / "report.html").read_text()
