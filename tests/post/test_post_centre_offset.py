"""Centres and offsets: targets, decoding, and what happens when the network is unsure."""

import logging

import numpy as np
import pytest
from objects_for_tests import label_map, orientations, packed_cells

from medseg.engine.stage import RunContext
from medseg.errors import InputError
from medseg.post.centre_offset import CentreOffset, centre_fields, objects_from_centres
from medseg.types import Geometry, Instances, LabelClass, LabelMap, LabelTable
from medseg.types.instances import CentreFields, InstanceRow


def fields_of(cells, sigma=1.5):
    heatmap, offsets = centre_fields(cells, sigma)
    lookup = np.zeros(int(cells.ids.max()) + 1, np.uint8)
    for row in cells.rows:
        lookup[row.id] = row.class_value
    return CentreFields(LabelMap(lookup[cells.ids], cells.geometry, cells.table), heatmap, offsets)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 0.8, 2)])
def test_targets_and_back_give_the_same_objects(spacing):
    ids = np.zeros((30, 30, 12), np.int32)
    ids[:10], ids[10:20, :15], ids[10:20, 15:], ids[20:] = 1, 2, 3, 4  # all touch
    rows = tuple(InstanceRow(i, 1 + i % 2, True, int((ids == i).sum())) for i in (1, 2, 3, 4))
    table = LabelTable((LabelClass(1, "a", is_thing=True), LabelClass(2, "b", is_thing=True)))
    cells = Instances(ids, Geometry(np.diag([*spacing, 1]), ids.shape), rows, table)
    found = objects_from_centres(fields_of(cells), window_mm=3)
    assert len(found.rows) == 4
    for row in rows:
        mine = np.unique(found.ids[ids == row.id])
        assert len(mine) == 1
        assert found.rows[mine[0] - 1].class_value == row.class_value


def test_offsets_point_at_the_centroid_in_mm():
    cells = packed_cells(affine=np.diag([0.5, 0.8, 2, 1]))
    _, offsets = centre_fields(cells, 2)
    places = np.argwhere(cells.ids == cells.rows[3].id)
    pointed = places * (0.5, 0.8, 2) + offsets[(slice(None), *places.T)].T
    assert np.allclose(pointed, (places * (0.5, 0.8, 2)).mean(axis=0), atol=1e-4)
    assert not offsets[:, cells.ids == 0].any()


def test_heatmap_is_one_at_each_centre_and_symmetric():
    array = np.zeros((21, 21, 21))
    array[5:16, 5:16, 5:16] = 1
    from medseg.post.components import components

    heatmap, _ = centre_fields(components(label_map(array, np.diag([1, 1, 2, 1]))), 2)
    assert heatmap[10, 10, 10] == 1
    assert heatmap[12, 10, 10] == pytest.approx(np.exp(-0.5))
    assert heatmap[10, 10, 11] == pytest.approx(np.exp(-0.5))
    assert heatmap[16, 10, 10] == pytest.approx(np.exp(-4.5))
    assert heatmap[17, 10, 10] == 0
    assert np.array_equal(heatmap, heatmap[::-1, ::-1, ::-1])


def test_offsets_with_noise_still_find_the_cells():
    rng = np.random.default_rng(0)
    cells = packed_cells(count=12, seed=3)
    fields = fields_of(cells)
    noisy = CentreFields(
        fields.labels,
        fields.heatmap * rng.uniform(0.8, 1, fields.heatmap.shape).astype(np.float32),
        fields.offsets + rng.normal(0, 0.7, fields.offsets.shape).astype(np.float32),
    )
    found = objects_from_centres(noisy, window_mm=5)
    shares = [np.bincount(found.ids[cells.ids == row.id]).max() / row.voxels for row in cells.rows]
    assert np.mean(shares) > 0.9


def test_the_class_of_most_voxels_wins():
    cells = packed_cells(count=4, seed=3, classes=(1, 2))
    fields = fields_of(cells)
    labels = fields.labels.array.copy()
    largest = max(cells.rows, key=lambda row: row.voxels)
    inside = np.argwhere(cells.ids == largest.id)
    labels[tuple(inside[: len(inside) // 3].T)] = 3 - largest.class_value
    wrong = CentreFields(LabelMap(labels, fields.labels.geometry, fields.labels.table), fields.heatmap, fields.offsets)
    found = objects_from_centres(wrong, window_mm=3)
    assert sorted(row.class_value for row in found.rows) == sorted(row.class_value for row in cells.rows)


def test_without_a_centre_there_is_a_warning(caplog):
    fields = fields_of(packed_cells())
    with caplog.at_level(logging.WARNING, "medseg.post"):
        found = objects_from_centres(CentreFields(fields.labels, fields.heatmap * 0.05, fields.offsets))
    assert found.rows == ()
    assert not found.ids.any()
    assert f"{(fields.labels.array > 0).sum()} voxels" in caplog.text


def test_only_things_become_objects(tmp_path):
    fields = fields_of(packed_cells(classes=(1, 2)))
    table = LabelTable((LabelClass(1, "kind 1", is_thing=True), LabelClass(2, "kind 2")))
    mixed = CentreFields(LabelMap(fields.labels.array, fields.labels.geometry, table), fields.heatmap, fields.offsets)
    found = CentreOffset(CentreOffset.Options(window_mm=3)).run(mixed, RunContext(tmp_path))
    assert {row.class_value for row in found.rows} == {1}
    assert np.array_equal(found.ids > 0, mixed.labels.array == 1)
    both = CentreOffset(CentreOffset.Options(window_mm=3, classes=("kind 2",))).run(mixed, RunContext(tmp_path))
    assert {row.class_value for row in both.rows} == {2}


def test_fields_must_fit():
    labels = label_map(np.zeros((3, 4, 5)))
    with pytest.raises(InputError, match="heatmap"):
        CentreFields(labels, np.zeros((3, 4, 5), np.float32), np.zeros((2, 3, 4, 5), np.float32))
    empty = CentreFields(labels, np.zeros((3, 4, 5), np.float32), np.zeros((3, 3, 4, 5), np.float32))
    assert objects_from_centres(empty).rows == ()


def test_all_48_orientations_give_the_same_objects():
    cells = packed_cells((14, 15, 16), count=6)
    first = objects_from_centres(fields_of(cells), window_mm=3)
    lookup = {row.id: row for row in cells.rows}
    ids = LabelMap(cells.ids.astype(np.uint8), cells.geometry, cells.table)
    for turned, back in orientations(ids):
        rows = tuple(lookup[i] for i in sorted(lookup))
        stored = Instances(turned.array.astype(np.int32), turned.geometry, rows, cells.table)
        assert np.array_equal(back(objects_from_centres(fields_of(stored), window_mm=3).ids), first.ids)
