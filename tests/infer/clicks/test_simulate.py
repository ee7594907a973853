"""Clicks as a reader would place them."""

import numpy as np

from medseg.infer.clicks.simulate import next_click, random_interaction


def masks():
    truth = np.zeros((20, 20, 20), bool)
    truth[4:16, 4:16, 4:16] = True
    present = truth.copy()
    present[4:9] = False  # 5 x 12 x 12 are missing
    present[0:3, 0:3, 0:3] = True  # 27 too many
    return present, truth


def test_the_click_lies_at_the_deepest_point_of_the_largest_error():
    present, truth = masks()
    click = next_click(present, truth)
    assert click.voxels.tolist() == [[6, 6, 6]]
    assert not click.is_outside
    present[4:9] = truth[4:9]
    surplus = next_click(present, truth)
    assert surplus.voxels.tolist() == [[1, 1, 1]]
    assert surplus.is_outside
    assert next_click(truth, truth) is None


def test_ignored_voxels_are_no_error():
    present, truth = masks()
    ignored = np.zeros_like(truth)
    ignored[4:9] = True
    assert next_click(present, truth, ignored).is_outside


def test_a_flat_image_is_clicked_within_its_plane():
    truth = np.zeros((15, 15, 1), bool)
    truth[3:12, 3:12] = True
    assert next_click(np.zeros_like(truth), truth).voxels.tolist() == [[7, 7, 0]]


def test_random_interactions_lie_in_an_error_and_are_a_function_of_the_seed():
    present, truth = masks()

    def drawn():
        random = np.random.default_rng(3)
        return [random_interaction(present, truth, random, scribbles=0.5) for _ in range(30)]

    first, again = drawn(), drawn()
    assert all(np.array_equal(a.voxels, b.voxels) for a, b in zip(first, again, strict=True))
    for one in first:
        at = tuple(one.voxels.T)
        assert (present[at] != truth[at]).all()
        assert (truth[at] != one.is_outside).all()
    assert {one.is_scribble for one in first} == {True, False}
    line = next(one for one in first if one.is_scribble)
    assert min(np.ptp(line.voxels, axis=0)) == 0  # within a slice
