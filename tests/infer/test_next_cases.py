"""Which cases are chosen to be labeled next: what is known of made-up ones, and what holds for any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.infer.next_cases import POOL, choose_next, expected_dice, farthest, look, most_uncertain, standardized


def probabilities(foreground):
    """Of one class, (2, X, Y, Z), from its own."""
    inside = np.asarray(foreground, np.float32).reshape(-1, 1, 1)
    return np.stack([1 - inside, inside])


@pytest.mark.parametrize(
    ("foreground", "expected"),
    [
        ([1, 1, 0, 0], 1.0),  # certain
        ([0, 0, 0, 0], 1.0),  # certain of nothing
        ([0.75, 0.75, 0.25, 0.25], 2 * 1.5 / (2 + 2)),  # half of what is thought there is drawn right
        ([0.5, 0.5, 0.5, 0.5], 0.0),  # nothing is drawn where something is expected
        ([1, 0.5, 0, 0], 2 * 1 / (1.5 + 1)),
    ],
)
def test_expected_dice_is_that_of_the_probabilities(foreground, expected):
    assert expected_dice(probabilities(foreground)) == pytest.approx(expected)


def test_expected_dice_is_near_what_labels_drawn_by_the_probabilities_have():
    random = np.random.default_rng(0)
    inside = random.beta(0.5, 0.5, 40_000)
    mask = inside > 0.5
    drawn = random.random(len(inside)) < inside
    dice = 2 * (mask & drawn).sum() / (mask.sum() + drawn.sum())
    assert expected_dice(probabilities(inside)) == pytest.approx(dice, abs=0.01)


def test_regions_that_overlap_have_no_background():
    whole, core = [1, 0.75, 0.25, 0], [0.75, 0.25, 0, 0]
    regions = np.array([whole, core], np.float32).reshape(2, 4, 1, 1)
    assert expected_dice(regions, regions=True) == expected_dice(probabilities(whole))
    image = np.zeros((1, 4, 1, 1))
    assert look(image, regions, regions=True)[6:8] == [0.5, 0.25]


def test_a_look_is_of_gray_values_contrast_classes_and_size():
    image = np.arange(101.0).reshape(1, 101, 1, 1)
    described = look(image, probabilities([0.0] * 51 + [1.0] * 50))
    assert described == pytest.approx([5, 25, 50, 75, 95, 1, 50 / 101, np.log(101)])
    assert np.isfinite(look(np.ones((3, 1, 2, 2)), np.ones((2, 1, 2, 2)) / 2)).all()  # one voxel wide


def test_the_farthest_is_taken_first_and_then_what_is_far_from_that_too():
    places = np.array([[0.0], [1], [9], [10], [5]])
    assert farthest(places, [0], [1, 2, 3, 4], 4) == [3, 4, 1, 2]
    assert farthest(places, [], [1, 2, 3, 4], 2) == [1, 3]  # nothing is known: the first, and what is far from that
    assert farthest(places, [0], [1, 2], 9) == [2, 1]
    assert farthest(np.zeros((4, 2)), [0], [3, 1, 2], 3) == [3, 1, 2]  # equally far: in their order


def test_only_the_most_uncertain_are_candidates():
    dice = [0.5, *np.linspace(0.6, 0.9, 10)]
    looks = [[0.0], *([float(number)] for number in range(1, 11))]
    assert most_uncertain(dice, 1) == [*range(1, 11)]
    assert choose_next(dice, looks, 1, 1) == [POOL]  # the tenth differs more, and is more certain
    assert choose_next([1.0, *dice[1:]], looks, 1, 1) == [POOL]  # what is labeled competes with none
    assert choose_next(dice[::-1], looks[::-1], 0, 1) == [10]  # nothing is labeled: the most uncertain


cases = st.lists(st.tuples(st.floats(0, 1), st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=40)


@settings(deadline=None)
@given(cases, st.integers(0, 12), st.integers(1, 50))
def test_none_is_chosen_twice_none_that_is_labeled_and_all_where_more_are_asked_for(rows, known, count):
    known = min(known, len(rows) - 1)
    dice, looks = [row[0] for row in rows], [row[1:] for row in rows]
    chosen = choose_next(dice, looks, known, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(rows) - known)
    assert all(known <= number < len(rows) for number in chosen)
    uncertain = most_uncertain(dice, known)
    assert set(chosen) <= set(uncertain[: POOL * count])
    if known == 0:
        assert chosen[0] == uncertain[0]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 8))
def test_the_unit_of_a_feature_does_not_matter(seed, known, count):
    random = np.random.default_rng(seed)
    dice, looks = random.random(20), random.normal(size=(20, 3))
    scaled = looks * [1, 1000, 50] + [5, 0, -7]
    assert standardized(scaled) == pytest.approx(standardized(looks), abs=1e-3)
    assert choose_next(dice, looks, known, count) == choose_next(dice, scaled, known, count)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(1, 8))
def test_the_order_of_the_cases_does_not_matter(seed, known, count):
    random = np.random.default_rng(seed)
    dice, looks = random.random(20), random.normal(size=(20, 3))
    order = np.array([*range(known), *known + random.permutation(20 - known)])
    chosen = choose_next(dice[order], looks[order], known, count)
    assert [int(order[number]) for number in chosen] == choose_next(dice, looks, known, count)
