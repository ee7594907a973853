"""Consensus of readers: what majority and STAPLE must give, and that neither depends on what lies around."""

import numpy as np
import pytest

from medseg.errors import GeometryMismatch, UsageError
from medseg.evaluation.consensus import consensus
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

TABLE = LabelTable((LabelClass(2, "liver"), LabelClass(65535, "lesion")))


def reading(array, geometry=None) -> LabelMap:
    return LabelMap(array, geometry or Geometry(np.diag([1, 1, 3, 1.0]), array.shape), TABLE)


def noisy(truth, rate, seed):
    """The truth with this fraction of its box's voxels given another class at random."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(truth.shape) < rate
    return np.where(wrong, rng.choice(np.array([0, 2, 65535], np.uint16), truth.shape), truth).astype(np.uint16)


@pytest.fixture
def truth():
    array = np.zeros((24, 20, 12), np.uint16)
    array[2:18, 3:17, 2:10] = 2
    array[6:12, 6:12, 4:8] = 65535
    return array


def test_majority_is_the_class_most_readers_gave(truth):
    arrays = [noisy(truth, 0.3, seed) for seed in range(3)]
    found = consensus([reading(array) for array in arrays], "majority")
    counts = np.stack([sum((array == value).astype(int) for array in arrays) for value in (0, 2, 65535)])
    expected = np.array([0, 2, 65535])[counts.argmax(axis=0)]
    tied = (counts == counts.max(axis=0)).sum(axis=0) > 1
    assert np.array_equal(found.labels.array, np.where(tied, 0, expected))
    assert found.tied == tied.sum() > 0
    assert found.labels.table == TABLE


def test_majority_of_two_is_what_both_agree_on(truth):
    a, b = noisy(truth, 0.2, 0), noisy(truth, 0.2, 1)
    found = consensus([reading(a), reading(b)], "majority")
    assert np.array_equal(found.labels.array, np.where(a == b, a, 0))
    assert found.tied == (a != b).sum()


def test_staple_trusts_the_reader_who_is_right_over_two_who_guess(truth):
    arrays = [noisy(truth, 0.02, 0), noisy(truth, 0.7, 1), noisy(truth, 0.7, 2)]
    staple = consensus([reading(array) for array in arrays], "staple")
    majority = consensus([reading(array) for array in arrays], "majority")
    assert (staple.labels.array != truth).sum() < 0.25 * (majority.labels.array != truth).sum()


def test_staple_says_how_good_each_reader_is(truth):
    rng = np.random.default_rng(0)
    missed = [(rng.random(truth.shape) < rate) & (truth == 65535) for rate in (0.02, 0.1, 0.3)]
    arrays = [np.where(mask, 2, truth).astype(np.uint16) for mask in missed]
    found = consensus([reading(array) for array in arrays], "staple").sensitivity
    for name, value in (("liver", 2), ("lesion", 65535)):
        assert found[name] == pytest.approx([(array[truth == value] == value).mean() for array in arrays], abs=0.05)


def test_staple_of_one_class_is_that_of_the_two_class_filter(truth):
    import SimpleITK as sitk  # noqa: N813

    arrays = [((noisy(truth, 0.25, seed) == 2) * 2).astype(np.uint16) for seed in range(4)]
    found = consensus([reading(array) for array in arrays], "staple").labels.array
    masks = [sitk.GetImageFromArray((array > 0).astype(np.uint8)) for array in arrays]
    expected = sitk.GetArrayFromImage(sitk.STAPLE(masks, 1.0)) > 0.5
    assert ((found == 2) != expected).mean() < 0.001


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_background_around_changes_nothing(truth, method):
    arrays = [noisy(truth, 0.3, seed) * (truth > 0) for seed in range(3)]
    small = consensus([reading(array) for array in arrays], method)
    padded = consensus([reading(np.pad(array, 9)) for array in arrays], method)
    assert np.array_equal(padded.labels.array, np.pad(small.labels.array, 9))
    assert padded.tied == small.tied


@pytest.mark.parametrize("method", ["majority", "staple"])
def test_nothing_drawn_is_nothing_in_common(method):
    empty = np.zeros((4, 4, 4), np.uint8)
    found = consensus([reading(empty), reading(empty)], method)
    assert not found.labels.array.any()
    assert found.tied == 0


def test_one_reading_and_another_grid_are_refused(truth):
    with pytest.raises(UsageError, match="two readings"):
        consensus([reading(truth)])
    other = reading(truth, Geometry(np.eye(4), truth.shape))
    with pytest.raises(GeometryMismatch):
        consensus([reading(truth), other])
