import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, label
from skimage.morphology import skeletonize

from medseg.post.skeleton import skeleton


@pytest.mark.parametrize("size", [(2, 2, 20), (3, 3, 20), (4, 4, 20), (2, 3, 20), (6, 20), (3, 20)])
def test_a_straight_tube_has_a_line_along_its_middle(size):
    found = skeleton(np.pad(np.ones(size, bool), 2))
    places = np.argwhere(found) - 2
    assert np.ptp(places[:, -1]) >= 20 - 1 - max(size[:-1])
    for axis, width in enumerate(size[:-1]):
        assert abs(places[:, axis].mean() - (width - 1) / 2) <= 0.5


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(0, 2), st.sampled_from([(20, 20), (12, 11, 10), (12, 11, 1)]))
def test_every_component_keeps_a_skeleton_inside_it(seed, growth, shape):
    mask = np.random.default_rng(seed).random(shape) > 0.97
    if growth:
        mask = binary_dilation(mask, iterations=growth)
    found = skeleton(mask)
    assert found.shape == mask.shape
    assert not (found & ~mask).any()
    ids, count = label(mask, np.ones((3,) * mask.ndim))
    assert set(np.unique(ids[found])) == set(range(1, count + 1))


def test_where_nothing_is_lost_it_is_scikit_images():
    mask = np.zeros((16, 30), bool)
    mask[5:8, 2:28] = mask[5:15, 10:13] = True
    assert np.array_equal(skeleton(mask), skeletonize(mask))
    assert np.array_equal(skeleton(mask[:, None]), skeletonize(mask)[:, None])


def test_nothing_has_no_skeleton_and_a_line_is_its_own():
    assert not skeleton(np.zeros((4, 4, 4), bool)).any()
    assert skeleton(np.ones((9, 1, 1), bool)).all()
