import logging

import numpy as np
import pytest
from objects_for_tests import (
    CELL,
    label_map,
    oblique_affine,
    packed_cells,
    panoptic_quality,
    same_in_all_orientations,
    same_partition,
)
from scipy import ndimage

from medseg.data.border_class import border_labels, border_table
from medseg.engine.stages.objects import Border
from medseg.errors import InputError
from medseg.post.components import components
from medseg.post.from_border import _Seeds, objects_from_border
from medseg.post.watershed import split_mask
from medseg.types import LabelClass, LabelMap, LabelTable, ModelIdentity, Prediction
from medseg.types.stage import RunContext


def bordered(array, affine=None):
    """Interiors (1) and borders (2) of cells."""
    return label_map(array, affine, border_table(CELL))


@pytest.mark.parametrize("classes", [(1,), (2, 7)])
def test_targets_and_back(classes):
    cells = packed_cells(classes=classes)
    target = border_labels(cells, width_mm=1)
    assert [item.name for item in target.table][-1] == "border"
    assert np.array_equal(target.array > 0, cells.ids > 0)
    found = objects_from_border(target)
    assert len(components(label_map(cells.ids > 0, table=CELL)).rows) < len(cells.rows) / 3
    assert panoptic_quality(cells.ids, found.ids) > 0.85
    assert [item.value for item in found.table] == sorted(classes)
    truth, given = ({row.id: row.class_value for row in objects.rows} for objects in (cells, found))
    pairs = zip(cells.ids[cells.ids > 0], found.ids[cells.ids > 0], strict=True)
    assert np.mean([truth[i] == given[j] for i, j in pairs]) > 0.95


def test_scores_decide_where_a_border_is_shared_out():
    array = np.full((1, 12, 3), 2, np.uint8)
    array[0, 1:3, 1] = array[0, 9:11, 1] = 1
    probabilities = np.zeros((3, *array.shape), np.float32)
    probabilities[2] = 0.5
    probabilities[2, :, 7] = 0.9  # the ridge lies near the second interior
    labels = bordered(array)
    by_distance, by_scores = objects_from_border(labels), objects_from_border(labels, probabilities=probabilities)
    assert sorted(row.voxels for row in by_distance.rows) == [18, 18]
    assert sorted(row.voxels for row in by_scores.rows) in ([12, 24], [15, 21])
    assert (by_scores.ids[0, :7] == by_scores.ids[0, 1, 1]).all()


def test_small_interiors_are_no_seeds_unless_alone():
    array = np.full((20, 9, 9), 2, np.uint8)
    array[2:9, 2:7, 2:7] = 1
    array[14, 4, 4] = 1
    labels = bordered(array)
    assert len(objects_from_border(labels).rows) == 2
    assert len(objects_from_border(labels, min_seed_mm3=2).rows) == 1
    array[2:9] = 2
    assert len(objects_from_border(labels, min_seed_mm3=2).rows) == 1


def test_all_border(caplog):
    array = np.zeros((6, 6, 6), np.uint8)
    array[1:3] = 2
    one = objects_from_border(bordered(array))
    assert [(row.class_value, row.voxels) for row in one.rows] == [(1, 72)]
    table = border_table(LabelTable((LabelClass(1, "cell"), LabelClass(4, "yeast"))))
    labels = label_map(5 * (array > 0), table=table)
    probabilities = np.zeros((4, 6, 6, 6), np.float32)
    probabilities[2] = 0.3
    assert [row.class_value for row in objects_from_border(labels, probabilities=probabilities).rows] == [4]
    with caplog.at_level(logging.WARNING, "medseg.post"):
        assert objects_from_border(labels).rows == ()
    assert "72 border voxels" in caplog.text


def test_all_48_orientations_give_the_same_objects():
    cells = packed_cells((14, 15, 16), oblique_affine())
    same_in_all_orientations(border_labels(cells, 0.9), objects_from_border)


def test_nothing():
    assert objects_from_border(bordered(np.zeros((4, 4, 4)))).rows == ()
    with pytest.raises(InputError, match="a class called 'border'"):
        objects_from_border(label_map(np.zeros((4, 4, 4))))


def test_stage_gives_scores_of_the_object_classes(tmp_path):
    cells = packed_cells(classes=(2, 7))
    target = border_labels(cells, 1)
    probabilities = np.zeros((4, *target.array.shape), np.float32)
    for channel, value in enumerate((0, 2, 7, 8)):
        probabilities[channel][target.array == value] = 1
    prediction = Prediction(target, ModelIdentity("m", "1", "0" * 64), probabilities)
    found = Border(Border.Options()).run(prediction, RunContext(tmp_path))
    assert all(0 < row.score < 1 for row in found.rows)
    plain = Border(Border.Options()).run(Prediction(target, prediction.model), RunContext(tmp_path))
    assert same_partition(found.ids > 0, plain.ids > 0)


def _two_discs(gap: int) -> LabelMap:
    """Two discs whose interiors run into one another through a neck of `gap` pixels, and a speck."""
    x, y = np.mgrid[:44, :24]
    inside = ((x - 12) ** 2 + (y - 12) ** 2 < 81) | ((x - 29) ** 2 + (y - 12) ** 2 < 81)
    array = np.where(inside, 2, 0)
    array[((x - 12) ** 2 + (y - 12) ** 2 < 64) | ((x - 29) ** 2 + (y - 12) ** 2 < 64)] = 1
    array[18:24, 12 - gap // 2 : 12 + gap - gap // 2] = 1
    array[40:43, 1:4] = 2
    array[41, 2] = 1
    return bordered(array[..., None])


def test_interiors_that_run_together_are_split_by_shape_where_asked():
    labels = _two_discs(4)
    assert len(objects_from_border(labels).rows) == 2  # both discs in one, and the speck
    found = objects_from_border(labels, depth_mm=0.5)
    assert len(found.rows) == 3
    assert found.ids[12, 12, 0] != found.ids[29, 12, 0]
    assert np.array_equal(found.ids > 0, labels.array > 0)


def test_small_objects_are_none():
    labels = _two_discs(0)
    assert [row.voxels for row in objects_from_border(labels).rows][-1] == 9
    assert len(objects_from_border(labels, min_mm3=9).rows) == 3
    found = objects_from_border(labels, min_mm3=10)
    assert [row.id for row in found.rows] == [1, 2]
    assert found.ids[41, 2, 0] == 0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.6, 1.4, 1.0)])
def test_interiors_are_split_in_their_own_boxes_as_in_the_whole_region(spacing, monkeypatch):
    """An unsure network leaves many interiors in one region; each one's box gives what the whole region would."""
    rng = np.random.default_rng(3)
    field = ndimage.gaussian_filter(rng.standard_normal((70, 60, 1)), (2, 2, 0))
    labels = np.where(field > 0, 1, 2).astype(np.uint8)
    labels[:, :4], labels[30:34, 20:30] = 2, 0
    found = bordered(labels, np.diag([*spacing, 1.0]))
    boxed = objects_from_border(found, depth_mm=0.2, sigma_mm=1.3)

    def whole(sizes, masks, depth):
        pieces, following = np.zeros_like(masks), 0
        for number in range(1, masks.max() + 1):
            split = split_mask(masks == number, sizes.spacing, depth_mm=depth, sigma_mm=sizes.sigma)
            pieces[masks == number] = split[masks == number] + following
            following += split.max()
        return pieces

    monkeypatch.setattr(_Seeds, "_split", whole)
    expected = objects_from_border(found, depth_mm=0.2, sigma_mm=1.3)
    monkeypatch.undo()
    assert len(expected.rows) > len(objects_from_border(found).rows) + 3
    np.testing.assert_array_equal(boxed.ids, expected.ids)
