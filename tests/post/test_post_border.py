"""Border class: preparing its training data, and putting objects together again."""

import logging

import numpy as np
import pytest
from objects_for_tests import (
    CELL,
    ball,
    label_map,
    oblique_affine,
    orientations,
    packed_cells,
    panoptic_quality,
    same_partition,
)

from medseg.engine.stage import RunContext
from medseg.errors import InputError
from medseg.post.border import Border, objects_from_border
from medseg.post.border_targets import border_labels, border_table
from medseg.post.components import components
from medseg.types import Geometry, Instances, LabelClass, LabelMap, LabelTable, ModelIdentity, Prediction
from medseg.types.instances import InstanceRow


@pytest.mark.parametrize("classes", [(1,), (2, 7)])
def test_targets_and_back(classes):
    cells = packed_cells(classes=classes)
    target = border_labels(cells, width_mm=1)
    assert [item.name for item in target.table][-1] == "border"
    assert np.array_equal(target.array > 0, cells.ids > 0)
    found = objects_from_border(target)
    assert len(components(LabelMap((cells.ids > 0).astype(np.uint8), cells.geometry, CELL)).rows) < len(cells.rows) / 3
    assert panoptic_quality(cells.ids, found.ids) > 0.85
    assert [item.value for item in found.table] == sorted(classes)
    of = {row.id: row.class_value for row in cells.rows}
    agreeing = [
        of[i] == found.rows[j - 1].class_value for i, j in zip(cells.ids.ravel(), found.ids.ravel(), strict=True) if i
    ]
    assert np.mean(agreeing) > 0.95


def test_a_border_one_voxel_wide_is_what_has_a_neighbour_outside():
    mask = ball((20, 20, 20), (9, 9, 9), 6)
    cells = components(label_map(mask, table=CELL))
    inner = mask.copy()
    for axis in range(3):
        inner &= np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    assert np.array_equal(border_labels(cells, 1).array == 1, inner)


def test_border_width_is_in_mm():
    cells = components(label_map(ball((40, 40, 12), (20, 20, 6), 14, (1, 1, 3)), np.diag([1, 1, 3, 1]), CELL))
    target = border_labels(cells, 3).array
    assert target[20, 20, :].tolist() == [0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 2, 0]
    assert target[6:35, 20, 6].tolist() == [2] * 3 + [1] * 23 + [2] * 3


def test_borders_only_where_objects_touch():
    ids = np.zeros((30, 10, 10), np.int32)
    ids[2:10], ids[10:18], ids[22:28] = 1, 2, 3
    rows = tuple(InstanceRow(i, 1, True, int((ids == i).sum())) for i in (1, 2, 3))
    cells = Instances(ids, Geometry(np.eye(4), ids.shape), rows, CELL)
    target = border_labels(cells, 2, where="touching").array
    assert target[:, 5, 5].tolist() == [0] * 2 + [1] * 6 + [2] * 4 + [1] * 6 + [0] * 4 + [1] * 6 + [0] * 2
    assert np.array_equal(objects_from_border(LabelMap(target, cells.geometry, border_table(CELL))).ids > 0, ids > 0)


def test_thin_objects_keep_an_interior_and_stuff_has_no_border():
    ids = np.zeros((12, 12, 12), np.int32)
    ids[2, 3:9, 3:9], ids[8:11] = 1, 2
    table = LabelTable((LabelClass(1, "cell", is_thing=True), LabelClass(2, "gel")))
    rows = (InstanceRow(1, 1, True, 36), InstanceRow(2, 2, False, 432))
    target = border_labels(Instances(ids, Geometry(np.eye(4), ids.shape), rows, table), 1).array
    assert (target[8:11] == 2).all()
    assert (target == 3).sum() == 0  # every voxel is equally deep: all of it is interior
    one = border_labels(components(label_map(np.pad([[[1.0]]], 2), table=CELL)), 1)
    assert one.array[2, 2, 2] == 1


def test_a_border_thinner_than_a_voxel_is_refused():
    with pytest.raises(InputError, match="less than one voxel"):
        border_labels(packed_cells(), 0.5)
    flat = components(label_map(np.ones((5, 5, 1)), np.diag([2, 2, 0.1, 1]), CELL))
    with pytest.raises(InputError, match="less than one voxel of 2 mm"):
        border_labels(flat, 1)


def test_scores_decide_where_a_border_is_shared_out():
    array = np.full((1, 12, 3), 2, np.uint8)
    array[0, 1:3, 1] = array[0, 9:11, 1] = 1
    scores = np.zeros((3, *array.shape), np.float32)
    scores[2] = 0.5
    scores[2, :, 7] = 0.9  # the ridge lies near the second interior
    labels = LabelMap(array, Geometry(np.eye(4), array.shape), border_table(CELL))
    by_distance, by_scores = objects_from_border(labels), objects_from_border(labels, scores=scores)
    assert sorted(row.voxels for row in by_distance.rows) == [18, 18]
    assert sorted(row.voxels for row in by_scores.rows) in ([12, 24], [15, 21])
    assert (by_scores.ids[0, :7] == by_scores.ids[0, 1, 1]).all()


def test_small_interiors_are_no_seeds_unless_alone():
    array = np.full((20, 9, 9), 2, np.uint8)
    array[2:9, 2:7, 2:7] = 1
    array[14, 4, 4] = 1
    labels = LabelMap(array, Geometry(np.eye(4), array.shape), border_table(CELL))
    assert len(objects_from_border(labels).rows) == 2
    assert len(objects_from_border(labels, min_seed_mm3=2).rows) == 1
    array[2:9] = 2
    assert len(objects_from_border(labels, min_seed_mm3=2).rows) == 1


def test_all_border(caplog):
    array = np.zeros((6, 6, 6), np.uint8)
    array[1:3] = 2
    one = objects_from_border(LabelMap(array, Geometry(np.eye(4), array.shape), border_table(CELL)))
    assert [(row.class_value, row.voxels) for row in one.rows] == [(1, 72)]
    table = border_table(LabelTable((LabelClass(1, "cell"), LabelClass(4, "yeast"))))
    labels = LabelMap((array > 0).astype(np.uint8) * 5, one.geometry, table)
    scores = np.zeros((4, 6, 6, 6), np.float32)
    scores[2] = 0.3
    assert [row.class_value for row in objects_from_border(labels, scores=scores).rows] == [4]
    with caplog.at_level(logging.WARNING, "medseg.post"):
        assert objects_from_border(labels).rows == ()
    assert "72 border voxels" in caplog.text


def test_all_48_orientations_give_the_same_objects():
    cells = packed_cells((14, 15, 16), oblique_affine())
    target = border_labels(cells, 0.9)
    first = objects_from_border(target)
    for turned, back in orientations(target):
        assert np.array_equal(back(objects_from_border(turned).ids), first.ids)


def test_nothing():
    labels = LabelMap(np.zeros((4, 4, 4), np.uint8), Geometry(np.eye(4), (4, 4, 4)), border_table(CELL))
    assert objects_from_border(labels).rows == ()
    with pytest.raises(InputError, match="a class called 'border'"):
        objects_from_border(label_map(np.zeros((4, 4, 4))))


def test_stage_gives_scores_of_the_object_classes(tmp_path):
    cells = packed_cells(classes=(2, 7))
    target = border_labels(cells, 1)
    scores = np.zeros((4, *target.array.shape), np.float32)
    for channel, value in enumerate((0, 2, 7, 8)):
        scores[channel][target.array == value] = 1
    prediction = Prediction(target, ModelIdentity("m", "1", "0" * 64), scores)
    found = Border(Border.Options()).run(prediction, RunContext(tmp_path))
    assert all(0 < row.score < 1 for row in found.rows)
    plain = Border(Border.Options()).run(Prediction(target, prediction.model), RunContext(tmp_path))
    assert same_partition(found.ids > 0, plain.ids > 0)
