"""Labels of classes that share voxels hold exactly the masks they were made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medseg.errors import InputError
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, OverlappingLabels
from medseg.types.overlapping import Layers, class_counts

SHAPE = (3, 4, 2)
GRID = Geometry(np.diag([-0.7, 0.7, 5, 1]), SHAPE)
CLASSES = tuple(LabelClass(value, name) for value, name in ((3, "whole"), (7, "core"), (300, "vessel")))
masks_of_three = hnp.arrays(bool, (3, *SHAPE))


def labels_of(masks) -> OverlappingLabels:
    return OverlappingLabels.of_masks(zip(CLASSES, masks, strict=True), GRID)


@given(masks_of_three)
def test_every_mask_comes_back(masks):
    labels = labels_of(masks)
    assert labels.combinations.dtype == np.uint8
    assert labels.overlap == bool((masks.sum(axis=0) > 1).any())
    for entry, mask in zip(CLASSES, masks, strict=True):
        assert np.array_equal(labels.mask(entry.value), mask)
        assert labels.counts()[entry.value] == mask.sum()
        alone = labels.alone(entry)
        assert set(np.unique(alone.array)) <= {0, entry.value}
        assert np.array_equal(alone.array > 0, mask)


@given(masks_of_three)
def test_folded_shows_the_smallest_of_the_classes_of_a_voxel(masks):
    folded = labels_of(masks).folded()
    sizes = {entry.value: (mask.sum(), -entry.value) for entry, mask in zip(CLASSES, masks, strict=True)}
    for place in np.ndindex(SHAPE):
        here = [entry.value for entry, mask in zip(CLASSES, masks, strict=True) if mask[place]]
        assert folded.array[place] == min(here, key=sizes.__getitem__, default=0)


@given(masks_of_three, st.permutations(range(SHAPE[2])))
def test_slices_in_any_order_give_the_same_masks(masks, order):
    layers = Layers(SHAPE)
    for k in order:
        for entry, mask in zip(CLASSES, masks, strict=True):
            layers.add(entry.value, mask[:, :, k], (slice(None), slice(None), k))
    labels = layers.labels(GRID, LabelTable(CLASSES))
    assert all(np.array_equal(labels.mask(c.value), mask) for c, mask in zip(CLASSES, masks, strict=True))


@given(hnp.arrays(np.uint16, SHAPE, elements=st.sampled_from([0, 3, 7, 300, 9])))
def test_a_label_map_comes_back_from_labels_that_may_overlap(array):
    labels = OverlappingLabels.of_map(LabelMap(array, GRID, LabelTable(CLASSES)))
    back = labels.separate()
    assert back is not None
    assert np.array_equal(back.array, array)
    assert [entry.name for entry in back.table if entry.value != 9] == ["whole", "core", "vessel"]


def test_what_moves_a_label_map_moves_them():
    masks = np.random.default_rng(0).random((3, *SHAPE)) < 0.5
    turned = labels_of(masks).moved(
        lambda one: LabelMap(one.array[::-1], Geometry(np.diag([0.7, 0.7, 5, 1]), SHAPE), one.table)
    )
    assert all(np.array_equal(turned.mask(c.value), mask[::-1]) for c, mask in zip(CLASSES, masks, strict=True))


def test_combinations_of_unknown_classes_are_refused():
    with pytest.raises(InputError, match="not in the label table"):
        OverlappingLabels(np.zeros(SHAPE, np.uint8), GRID, LabelTable(CLASSES), ((), (4,)))
    with pytest.raises(InputError, match="do not fit a grid"):
        OverlappingLabels(np.zeros((2, 2, 2), np.uint8), GRID, LabelTable(CLASSES), ((),))


def test_a_class_whose_value_the_voxels_type_cannot_hold_has_no_voxels():
    labels = LabelMap(np.full(SHAPE, 3, np.uint8), GRID, LabelTable(CLASSES))
    assert class_counts(labels) == {3: 24, 7: 0, 300: 0}
