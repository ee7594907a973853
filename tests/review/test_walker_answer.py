"""What the random walker answers to marks: a correction of what is drawn near by, or the class from nothing."""

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Present
from medseg.review.walker_answer import REACH, walker_answer

SHAPE, CENTER = (44, 40, 36), (22, 20, 18)
UNIT = (1.0, 1.0, 1.0)


def ball(center=CENTER, radius=8.0):
    return np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(SHAPE), center, strict=True))) < radius


def mark(*voxels, outside=False):
    return Interaction(np.array(voxels), outside)


def scan_of(truth, noise=8.0):
    return (40 + 60 * truth + np.random.default_rng(3).normal(0, noise, SHAPE)).astype(np.float32)


def after(scan, present, *marks, spacing=UNIT, probability=None):
    box, is_class = walker_answer(scan, Present((0, 0, 0), present), marks, spacing, probability)
    result = present.copy()
    result[box.slices] = is_class
    return result


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_a_mark_that_does_not_belong_takes_a_spur_away_and_no_more() -> None:
    """The spur hangs together with the whole ball, all of which used to be given up."""
    truth = ball()
    present = truth.copy()
    present[20:25, 28:32, 16:21] = True
    found = after(scan_of(truth), present, mark((22, 30, 18), outside=True))
    assert not (found & ~present).any()
    assert not found[22, 30, 18]
    assert dice(found, truth) > dice(present, truth)
    assert np.count_nonzero(truth & ~found) < 0.01 * np.count_nonzero(truth)


def test_a_mark_that_belongs_adds_the_missing_part_and_no_more() -> None:
    truth = ball()
    present = truth.copy()
    present[:, 25:] = False
    found = after(scan_of(truth), present, mark((22, 26, 18)))
    assert (found >= present).all()
    assert dice(found, truth) > dice(present, truth)
    assert np.count_nonzero(found & ~truth) < 0.01 * np.count_nonzero(truth)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("spacing", [UNIT, (1.0, 1.0, 3.0), (0.5, 1.0, 2.0)])
def test_nothing_far_from_the_mark_changes_and_nothing_of_the_other_kind(outside, spacing) -> None:
    """In noise alone, whatever the walker finds there, around a mark at the boundary of what is drawn."""
    random, present = np.random.default_rng(5), ball()
    steps = np.array(spacing) / min(spacing)
    for _ in range(10):
        scan = random.normal(0, 1, SHAPE)
        place = random.choice(np.argwhere(present ^ ball(radius=6.0)))
        found = after(scan, present, mark(place, outside=outside), spacing=spacing)
        changed = np.argwhere(found != present)
        assert (np.linalg.norm((changed - place) * steps, axis=1) <= REACH + 1).all()
        assert (found <= present).all() if outside else (found >= present).all()
        assert found[tuple(place)] == (not outside)


def test_where_more_than_half_would_be_lost_nothing_is_drawn_and_that_is_said() -> None:
    truth = ball(radius=3.0)
    with pytest.raises(InputError, match="would take away 93 of the 93 voxels of the class"):
        after(scan_of(np.zeros(SHAPE, bool)), truth, mark(CENTER, outside=True))


def test_a_small_wrong_island_beside_the_class_goes_with_one_mark() -> None:
    truth, island = ball(), ball((22, 35, 18), 2.0)
    found = after(scan_of(truth), truth | island, mark((22, 35, 18), outside=True))
    assert np.array_equal(found, truth)


def test_far_from_what_is_drawn_a_second_part_is_drawn_from_nothing_and_the_first_stays() -> None:
    first, second = ball((10, 10, 18), 5.0), ball((32, 28, 18), 6.0)
    found = after(scan_of(first | second), first, mark((32, 28, 18)))
    assert (found >= first).all()
    assert dice(found & ~first, second) > 0.9


@pytest.mark.parametrize("outside", [False, True])
def test_far_from_the_class_a_mark_brings_back_nothing_that_older_marks_settled(outside) -> None:
    """A mark that belongs was answered, and the reader erased a part since; a mark far away is not about that."""
    truth, second = ball((10, 10, 18), 6.0), ball((32, 28, 18), 6.0)
    present = truth.copy()
    present[:, 12:] = False
    marks = mark((10, 8, 18)), mark((32, 28, 18), outside=outside)
    if outside:
        with pytest.raises(InputError, match="nothing of the class is drawn near the mark"):
            after(scan_of(truth | second), present, *marks)
        return
    found = after(scan_of(truth | second), present, *marks)
    assert np.array_equal(found[:20], present[:20])
    assert dice(found[20:], second[20:]) > 0.9


def test_from_nothing_all_marks_are_heard_and_without_one_that_belongs_it_is_said() -> None:
    truth, nothing = ball(), np.zeros(SHAPE, bool)
    found = after(scan_of(truth), nothing, mark((22, 22, 18)), mark((3, 20, 18), outside=True))
    assert dice(found, truth) > 0.95
    with pytest.raises(InputError, match="nothing is marked as belonging"):
        after(scan_of(truth), nothing, mark((3, 20, 18), outside=True))


def test_of_a_voxel_marked_twice_the_newer_mark_counts() -> None:
    truth, nothing = ball(), np.zeros(SHAPE, bool)
    marks = mark((3, 20, 18)), mark((3, 20, 18), outside=True), mark(CENTER)
    found = after(scan_of(truth), nothing, *marks)
    assert dice(found, truth) > 0.95
    assert not found[3, 20, 18]


def test_probabilities_lead_a_correction_where_the_scan_shows_no_edge() -> None:
    truth = ball()
    present = truth.copy()
    present[:, 25:] = False
    scan = np.random.default_rng(1).normal(0, 1, SHAPE)
    probability = np.where(truth, 240, 5).astype(np.uint8)
    found = after(scan, present, mark((22, 26, 18)), probability=probability)
    assert dice(found, truth) > dice(present, truth)
    assert np.count_nonzero(found & ~truth) == 0


def test_a_mark_outside_the_scan_is_refused() -> None:
    with pytest.raises(InputError, match="outside the scan"):
        after(scan_of(ball()), ball(), mark((99, 1, 1)))
