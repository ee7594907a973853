from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import (
    TABLE,
    ball,
    label_map,
    oblique_affine,
    prediction,
    random_blobs,
    same_in_all_orientations,
    same_partition,
)

from medseg.engine.stages.objects import MergeStuff, Panoptic, ThingsAndStuff
from medseg.errors import GeometryMismatch, InputError
from medseg.io.object_labels import object_labels
from medseg.post.components import components
from medseg.post.panoptic import panoptic
from medseg.post.watershed import watershed
from medseg.types import Code, LabelClass, LabelTable, Scan
from medseg.types.stage import RunContext


def scene(affine=None):
    """Two lesions, one cell, and an organ in two pieces."""
    array = np.zeros((20, 12, 10))
    array[1:4, 1:4, 1:4], array[6:9, 1:3, 1:3], array[12, 1, 1] = 1, 1, 2
    array[1:10, 6:10, :], array[12:19, 6:10, :] = 5, 5
    return label_map(array, affine)


def test_one_row_for_each_thing_and_each_stuff_class():
    found = panoptic(scene())
    rows = [(row.id, row.class_value, row.is_thing, row.voxels) for row in found.rows]
    assert rows == [(1, 1, True, 27), (2, 1, True, 12), (3, 2, True, 1), (4, 5, False, 640)]
    organ = found.rows[3].measures
    assert organ.box == (slice(1, 19), slice(6, 10), slice(0, 10))
    assert organ.diameter_mm is None
    assert organ.sphericity is None
    assert found.rows[0].measures.diameter_mm == pytest.approx(np.sqrt(27))


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), planes=st.integers(1, 12))
def test_both_ways_agree_and_slabs_do_not_show(seed, planes):
    labels = label_map(random_blobs((11, 12, 9), seed), oblique_affine())
    whole = panoptic(labels, shape=False)
    assert np.array_equal(panoptic(labels, shape=False, planes=planes).ids, whole.ids)
    merged = panoptic(labels, components(labels, classes=[1, 2]), shape=False)
    assert np.array_equal(merged.ids, whole.ids)
    assert merged.rows == whole.rows
    assert np.array_equal(whole.ids > 0, labels.array > 0)


def test_objects_of_another_method_keep_their_borders_and_lie_over_stuff():
    array = np.full((40, 20, 20), 5)
    balls = ball(array.shape, (11, 10, 10), 8) | ball(array.shape, (25, 10, 10), 8)
    array[balls] = 1
    labels = label_map(array)
    things = watershed(labels, classes=[1])
    found = panoptic(labels, things)
    assert [row.is_thing for row in found.rows] == [True, True, False]
    assert same_partition(np.where(balls, found.ids, 0), things.ids)
    assert found.rows[2].voxels == (~balls).sum()
    stage = MergeStuff(MergeStuff.Options())
    assert np.array_equal(stage.run(ThingsAndStuff(things, prediction(labels)), RunContext(None)).ids, found.ids)


def test_an_object_that_reaches_into_stuff_takes_its_voxels():
    """The lesion of the first label map ends two voxels inside the organ of the second."""
    lesion, organ = np.zeros((12, 6, 4)), np.zeros((12, 6, 4))
    lesion[2:7, 1:5] = 1
    organ[5:10, 1:5] = 5
    things = components(label_map(lesion), classes=[1])
    found = panoptic(label_map(organ), things)
    assert [(row.class_value, row.voxels) for row in found.rows] == [(1, 5 * 4 * 4), (5, 3 * 4 * 4)]
    assert np.array_equal(found.ids == 1, lesion == 1)


def test_a_thing_voxel_without_an_object_is_background():
    labels = scene()
    only_large = components(labels, classes=[1])
    found = panoptic(labels, only_large)
    assert {row.class_value for row in found.rows} == {1, 5}
    assert found.ids[12, 1, 1] == 0


def test_scores_and_intensities():
    labels = scene()
    probabilities = np.zeros((4, *labels.array.shape), np.float32)
    for channel, value in enumerate((0, 1, 2, 5)):
        probabilities[channel][labels.array == value] = 0.2 * (channel + 1)
    voxels = labels.array[None] * 10.0
    found = panoptic(labels, probabilities=probabilities, scan=Scan(voxels, labels.geometry))
    assert [row.score for row in found.rows] == pytest.approx([0.4, 0.4, 0.6, 0.8])
    assert [row.measures.mean_intensity for row in found.rows] == [(10,), (10,), (20,), (50,)]
    run = Panoptic(Panoptic.Options()).run(prediction(labels, probabilities), RunContext(None))
    assert [row.score for row in run.rows] == [row.score for row in found.rows]


def test_all_48_orientations():
    labels = label_map(random_blobs((8, 9, 10), seed=2), oblique_affine())
    same_in_all_orientations(labels, partial(panoptic, shape=False))


def test_what_does_not_fit_is_refused():
    labels = scene()
    with pytest.raises(InputError, match="value 3"):
        panoptic(label_map(np.full((2, 2, 2), 3)))
    with pytest.raises(InputError, match="value 3"):
        panoptic(label_map(np.full((2, 2, 2), 3)), components(label_map(np.zeros((2, 2, 2)))))
    with pytest.raises(InputError, match="organ, which is stuff in the label table"):
        panoptic(labels, components(labels))
    with pytest.raises(GeometryMismatch):
        panoptic(labels, components(scene(np.diag([2, 1, 1, 1])), classes=[1]))


def test_nothing_and_only_stuff():
    assert panoptic(label_map(np.zeros((3, 3, 3)))).rows == ()
    only = panoptic(label_map(np.full((3, 3, 3), 5)))
    assert [(row.id, row.is_thing, row.voxels) for row in only.rows] == [(1, False, 27)]
    nothing = components(label_map(np.zeros((3, 3, 3))))
    assert [row.voxels for row in panoptic(label_map(np.full((3, 3, 3), 5)), nothing).rows] == [27]


def test_objects_are_counted_within_each_class_and_carry_its_codes():
    lesion = Code("52988006", "SCT", "Lesion")
    table = LabelTable((LabelClass(1, "lesion", None, lesion, is_thing=True), *TABLE.classes[1:]))
    found = panoptic(label_map(scene().array, table=table))
    segments = object_labels(found)
    assert segments.array.dtype == np.uint8
    assert np.array_equal(segments.array, found.ids)
    assert [item.value for item in segments.table] == [1, 2, 3, 4]
    assert [item.name for item in segments.table] == ["lesion 1", "lesion 2", "cell 1", "organ"]
    assert segments.table.classes[1].code == lesion
