from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import ball, label_map, oblique_affine, random_blobs, same_in_all_orientations, same_partition

from medseg.engine.stages.objects import Watershed
from medseg.post.components import components
from medseg.post.flooding import flood
from medseg.post.merging import contacts, merge_small
from medseg.post.watershed import split_mask, watershed
from medseg.types.stage import RunContext


def three_balls(spacing=(1, 1, 1)):
    shape = [int(70 / s) for s in spacing]
    centers = [np.array(c) / spacing for c in [(20, 20, 20), (36, 20, 20), (36, 36, 24)]]
    return np.any([ball(shape, c, 10, spacing) for c in centers], axis=0), centers


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.8, 0.8, 2.5), (2, 1, 0.5)])
def test_touching_balls_come_apart(spacing):
    mask, centers = three_balls(spacing)
    labels = label_map(mask, np.diag([*spacing, 1]))
    assert len(components(labels).rows) == 1
    found = watershed(labels)
    assert len(found.rows) == 3
    assert np.array_equal(found.ids > 0, mask)
    for center in centers:
        owner = found.ids[tuple(np.rint(center).astype(int))]
        truth = ball(mask.shape, center, 10, spacing)
        assert (found.ids[truth] == owner).mean() > 0.93
        assert found.rows[owner - 1].measures.volume_ml == pytest.approx(4 / 3 * np.pi, rel=0.1)


def test_a_shallow_neck_is_not_cut():
    mask = ball((60, 40, 40), (20, 20, 20), 12) | ball((60, 40, 40), (26, 20, 20), 12)
    assert len(watershed(label_map(mask)).rows) == 1
    assert len(watershed(label_map(three_balls()[0]), depth_mm=6).rows) == 1


def test_two_peaks_of_one_plateau_are_one():
    assert len(watershed(label_map(np.ones((60, 8, 8))), sigma_mm=0).rows) == 1
    rod = np.zeros((60, 12, 12))
    rod[2:58, 2:10, 2:10] = 1
    assert len(watershed(label_map(rod), sigma_mm=0).rows) == 1


def test_classes_never_mix_and_the_table_stays():
    array = np.zeros((40, 20, 20))
    array[ball(array.shape, (10, 10, 10), 9)] = 1
    array[ball(array.shape, (28, 10, 10), 9)] = 2
    found = watershed(label_map(array))
    assert [row.class_value for row in found.rows] == [1, 2]
    assert np.array_equal(found.ids, array)


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), planes=st.integers(1, 20), min_mm3=st.sampled_from([0, 3, 30]))
def test_refines_components_keeps_the_foreground_and_hides_slabs(seed, planes, min_mm3):
    labels = label_map(random_blobs((14, 15, 16), seed), oblique_affine((1, 1, 1.5)))
    whole, found = components(labels), watershed(labels, depth_mm=0.3, min_mm3=min_mm3, planes=planes)
    assert np.array_equal(found.ids > 0, labels.array > 0)
    pairs = np.unique(np.stack([found.ids.ravel(), whole.ids.ravel()]), axis=1)
    assert len(pairs[0]) == len(np.unique(pairs[0]))  # each object lies within one component
    assert np.array_equal(found.ids, watershed(labels, depth_mm=0.3, min_mm3=min_mm3).ids)
    sizes = {row.id: row.measures.volume_ml for row in whole.rows}
    for row in found.rows:
        component = whole.ids[found.ids == row.id][0]
        assert 1000 * row.measures.volume_ml >= min(min_mm3, 1000 * sizes[component]) - 1e-9


def test_all_48_orientations_give_the_same_objects():
    labels = label_map(random_blobs((8, 9, 10), seed=3), oblique_affine())
    found = same_in_all_orientations(labels, partial(watershed, depth_mm=0.3))
    assert len(found.rows) > len(components(labels).rows)


def test_min_size_joins_pieces_to_their_neighbor():
    mask = ball((60, 30, 30), (16, 15, 15), 12) | ball((60, 30, 30), (31, 15, 15), 6)
    assert len(watershed(label_map(mask)).rows) == 2
    joined = watershed(label_map(mask), min_mm3=1200)
    assert [row.voxels for row in joined.rows] == [mask.sum()]


@pytest.mark.parametrize("flat", [0, 1, 2])
def test_pictures(flat):
    shape = np.insert([50, 30], flat, 1)
    centers = [np.insert(c, flat, 0) for c in [(14, 15), (33, 15)]]
    mask = ball(shape, centers[0], 11) | ball(shape, centers[1], 11)
    found = watershed(label_map(mask))
    assert len(found.rows) == 2
    assert same_partition(found.ids, watershed(label_map(mask), connectivity=8).ids)


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 4, 3), (1, 7, 1)])
def test_nothing_and_everything(shape):
    assert watershed(label_map(np.zeros(shape))).rows == ()
    assert [row.voxels for row in watershed(label_map(np.ones(shape))).rows] == [np.prod(shape)]


def test_split_of_a_mask_without_any_border_is_the_mask():
    assert (split_mask(np.ones((4, 4, 4), bool), (1, 1, 1), depth_mm=0.5, sigma_mm=1) == 1).all()


def test_contacts_and_merging_by_most_contact():
    pieces = np.zeros((9, 4, 1), np.int32)
    pieces[:4], pieces[4], pieces[5:] = 1, 2, 3
    pieces[4, 0] = 3
    counted = contacts(pieces)
    assert counted[1, 2] == 3 + 5  # faces, and diagonals
    assert counted[2, 3] > counted[1, 2]
    merged = merge_small(pieces, 4)
    assert np.array_equal(merged, np.where(pieces == 1, 1, 2))
    assert merge_small(pieces, 3) is pieces
    alone = np.zeros((5, 1, 1), np.int32)
    alone[0], alone[4] = 1, 2
    assert np.array_equal(merge_small(alone, 10), alone)


def test_stage(tmp_path):
    labels = label_map(three_balls()[0])
    stage = Watershed(Watershed.Options(classes=("lesion",), min_mm3=10))
    assert len(stage.run(labels, RunContext(tmp_path)).rows) == 3
    assert Watershed(Watershed.Options(classes=("organ",))).run(labels, RunContext(tmp_path)).rows == ()


@pytest.mark.parametrize("order", ["C", "F"])
def test_flood_in_every_memory_layout(order):
    seeds = np.zeros((6, 5, 4), np.int32, order=order)
    seeds[0, 0, 0], seeds[5, 4, 3] = 1, 2
    relief = np.zeros(seeds.shape, order=order)
    mask = np.ones(seeds.shape, bool, order=order)
    assert (flood(relief, seeds, mask) > 0).all()
