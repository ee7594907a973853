import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import ball, label_map, orientations, prediction, random_blobs
from pydantic import ValidationError
from scipy import ndimage

from medseg.config.load import build
from medseg.engine.stages.objects import CleanUp
from medseg.errors import InputError
from medseg.post.cleanup import FillHoles, KeepLargest, RemoveSmall, Smooth, clean_up
from medseg.post.components import components
from medseg.post.holes import fill_holes
from medseg.post.removal import keep_largest, remove_small
from medseg.post.smoothing import smooth
from medseg.types.stage import RunContext

RULES = (KeepLargest(), RemoveSmall(min_mm3=9), FillHoles(), Smooth(sigma_mm=1))


def lesions():
    array = np.zeros((20, 20, 20))
    array[1:7, 1:7, 1:7] = 1  # 216
    array[10:13, 10:13, 10:13] = 1  # 27
    array[18, 18, 18] = 1
    array[1:3, 15:17, 1:3] = 2  # 8
    array[10, 1, 1] = 2
    return label_map(array)


def sizes(labels):
    """Voxels of each class."""
    return np.bincount(labels.array.ravel()).tolist()[1:]


def test_keep_largest_of_each_class():
    assert sizes(keep_largest(lesions())) == [216, 8]
    assert sizes(keep_largest(lesions(), count=2)) == [243, 9]
    assert sizes(keep_largest(lesions(), classes=[1])) == [216, 9]


def test_remove_small_goes_by_volume_and_keeps_what_is_just_large_enough():
    labels = label_map(lesions().array, np.diag([0.1, 0.7, 0.3, 1]))
    volume = 27 * 0.1 * 0.7 * 0.3
    assert sizes(remove_small(labels, volume)) == [243]
    assert sizes(remove_small(labels, volume * 1.001)) == [216]
    assert sizes(remove_small(labels, volume, classes=[2])) == [244]


def test_input_is_not_changed():
    labels = lesions()
    before = labels.array.copy()
    for rule in RULES:
        rule.apply(labels)
    assert np.array_equal(labels.array, before)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), density=st.floats(0.4, 0.95))
def test_holes_equal_scipy(seed, density):
    labels = label_map(random_blobs((10, 11, 12), seed, classes=(1,), density=density))
    assert np.array_equal(fill_holes(labels).array > 0, ndimage.binary_fill_holes(labels.array > 0))
    flat = label_map(labels.array[:, :, 5:6])
    assert np.array_equal(fill_holes(flat).array[..., 0] > 0, ndimage.binary_fill_holes(flat.array[..., 0] > 0))


def test_a_tumor_in_an_organ_stays_and_only_small_holes_are_filled():
    array = np.zeros((20, 20, 20))
    array[2:18, 2:18, 2:18] = 5
    array[8:12, 8:12, 8:12] = 0
    array[9:11, 9:11, 9:11] = 1
    array[4, 4, 4] = 0
    filled = fill_holes(label_map(array)).array
    assert (filled == 1).sum() == 8
    assert (filled == 5).sum() == 16**3 - 8
    small = fill_holes(label_map(array), max_mm3=1).array
    assert small[4, 4, 4] == 5
    assert small[8, 8, 8] == 0


def test_a_cavity_open_to_the_edge_of_the_grid_is_no_hole():
    array = np.ones((6, 6, 6))
    array[2:4, 2:4, 3:] = 0
    assert np.array_equal(fill_holes(label_map(array)).array, array)


def test_smoothing_rounds_a_rough_ball_and_keeps_its_volume():
    rng = np.random.default_rng(0)
    truth = ball((50, 50, 30), (25, 25, 15), 15, (1, 1, 1.6))
    rough = truth ^ (ndimage.binary_dilation(truth) & ~ndimage.binary_erosion(truth) & (rng.random(truth.shape) < 0.3))
    smoothed = smooth(label_map(rough, np.diag([1, 1, 1.6, 1])), 1.5).array > 0
    assert (smoothed ^ truth).sum() < 0.4 * (rough ^ truth).sum()
    assert smoothed.sum() == pytest.approx(truth.sum(), rel=0.03)


def test_smoothing_leaves_no_gap_between_neighbors():
    rng = np.random.default_rng(1)
    edge = 15 + rng.integers(-2, 3, (30, 30))
    array = np.where(np.arange(30)[:, None, None] < edge, 1, 2)
    smoothed = smooth(label_map(array), 2).array
    assert smoothed.min() == 1
    assert (smoothed[1:] != smoothed[:-1]).sum() == 900
    one_fixed = smooth(label_map(array), 2, classes=[1]).array
    assert np.array_equal(one_fixed == 2, array == 2)


def test_smoothing_never_loses_an_object(caplog):
    array = np.zeros((30, 30, 30))
    array[ball(array.shape, (14, 14, 14), 9)] = 1
    array[27, 27, 27] = 1
    with caplog.at_level(logging.INFO, "medseg.post"):
        smoothed = smooth(label_map(array), 2)
    assert smoothed.array[27, 27, 27] == 1
    assert len(components(smoothed).rows) == 2
    assert "1 object too small to smooth, kept as before" in caplog.text


def test_smoothing_is_the_same_in_all_48_orientations():
    labels = label_map(random_blobs((8, 9, 10), seed=4), np.diag([1, 1.3, 2, 1]))
    first = smooth(labels, 1.2).array
    assert (first != labels.array).any()
    for turned, back in orientations(labels):
        assert np.array_equal(back(smooth(turned, 1.2).array), first)


def test_rules_from_a_configuration(tmp_path):
    rules = [
        {"rule": "remove_small", "min_mm3": 5, "classes": ["lesion"]},
        {"rule": "keep_largest", "classes": ["cell"]},
        {"rule": "fill_holes", "max_mm3": 100},
    ]
    stage = CleanUp(build(CleanUp.Options, {"rules": rules}))
    cleaned = stage.run(prediction(lesions(), notes=("seen",)), RunContext(tmp_path))
    assert sizes(cleaned.labels) == [243, 8]
    assert cleaned.notes == ("seen",)


def test_rules_that_cannot_be():
    for wrong in ({"rule": "remove_small"}, {"rule": "keep_largest", "count": 0}, {"rule": "erode"}, {"min_mm3": 3}):
        with pytest.raises(ValidationError):
            CleanUp.Options(rules=(wrong,))
    with pytest.raises(InputError, match="called 'spleen'"):
        clean_up(lesions(), (KeepLargest(classes=("spleen",)),))


def test_nothing_to_clean():
    assert not clean_up(label_map(np.zeros((5, 5, 5))), RULES).array.any()
    assert clean_up(label_map(np.ones((5, 5, 5))), RULES).array.all()
