"""A class that a model did not look for is neither gone nor new."""

import numpy as np
import pytest

from medseg.errors import InputError
from medseg.longitudinal.classes_in_common import with_classes_in_common
from medseg.longitudinal.time_point import TimePoint
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity
from medseg.types.overlapping import OverlappingLabels

HEAD = ModelIdentity("head", "1", "a" * 64)
OTHER = ModelIdentity("other", "1", "b" * 64)
NONE = ModelIdentity("origin not stated", "", "")
PARTS = {1: "left anterior hippocampus", 2: "left posterior hippocampus", 3: "right anterior hippocampus"}


def point(case_id, classes, model):
    array = np.zeros((4, 4, 4), np.uint8)
    for value in classes:
        array[value % 4, value // 4] = value
    table = LabelTable(tuple(LabelClass(value, name) for value, name in classes.items()))
    return TimePoint(case_id, LabelMap(array, Geometry(np.eye(4), array.shape), table), None, model)


def test_parts_are_compared_as_the_whole_that_the_other_time_has():
    before = point("thin", {**PARTS, 4: "right posterior hippocampus"}, HEAD)
    after = point("thick", {5: "left hippocampus", 6: "right hippocampus"}, HEAD)
    for order in ((before, after), (after, before)):
        found = {one.case_id: one for one in with_classes_in_common(order)}
        assert found["thin"].class_names() == found["thick"].class_names() == ("left hippocampus", "right hippocampus")
        array = found["thin"].labels.array
        assert {int(v): int(n) for v, n in zip(*np.unique(array, return_counts=True), strict=True)} == {
            0: 48,
            1: 8,
            3: 8,
        }
        assert "compared as left hippocampus" in found["thin"].notes[0]
        assert not found["thin"].warnings
        assert np.array_equal(found["thick"].labels.array, after.labels.array)


def test_what_the_other_model_does_not_look_for_is_not_compared():
    before, after = point("a", {1: "liver", 2: "tumor"}, HEAD), point("b", {3: "liver"}, OTHER)
    first, second = with_classes_in_common((before, after))
    assert first.class_names() == ("liver",)
    assert set(np.unique(first.labels.array)) == {0, 1}
    assert first.warnings == ("b: tumor was not looked for there, and is not compared.",)
    assert second is after


def test_of_classes_that_share_voxels_the_others_stay_whole():
    liver = np.zeros((4, 4, 4), bool)
    liver[:2] = True
    tumor = np.roll(liver, 1, axis=0)
    classes = LabelClass(1, "liver"), LabelClass(2, "tumor")
    labels = OverlappingLabels.of_masks(zip(classes, (liver, tumor), strict=True), Geometry(np.eye(4), liver.shape))
    first, _ = with_classes_in_common((TimePoint("a", labels, None, HEAD), point("b", {3: "liver"}, OTHER)))
    assert first.class_names() == ("liver",)
    assert np.array_equal(first.labels.mask(1), liver)


def test_of_labels_that_a_person_drew_a_class_that_lacks_is_gone():
    before, after = point("a", {1: "liver", 2: "tumor"}, NONE), point("b", {1: "liver"}, NONE)
    assert with_classes_in_common((before, after)) == (before, after)
    for classes in ({}, {2: "class-2"}):
        pair = point("a", {1: "class-1"}, NONE), point("b", classes, NONE)
        assert with_classes_in_common(pair) == pair


@pytest.mark.parametrize("model", [NONE, OTHER])
def test_nothing_in_common_is_refused(model):
    with pytest.raises(InputError, match=r"no class in common: left .*, and liver"):
        with_classes_in_common((point("a", PARTS, HEAD), point("b", {1: "liver"}, model)))
