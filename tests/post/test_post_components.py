"""Connected components: against SciPy, over slabs, in every orientation and memory layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objects_for_tests import label_map, oblique_affine, orientations, prediction, random_blobs, same_partition
from scipy import ndimage

from medseg.engine.stages.objects import Components
from medseg.errors import ConfigError, InputError
from medseg.post.components import class_values, components
from medseg.types import Geometry, LabelMap, LabelTable
from medseg.types.stage import RunContext

STRUCTURES = {6: 1, 18: 2, 26: 3}


def by_scipy(array, connectivity):
    structure = ndimage.generate_binary_structure(3, STRUCTURES[connectivity])
    ids, count = np.zeros(array.shape, np.int64), 0
    for value in np.unique(array[array > 0]):
        numbered, found = ndimage.label(array == value, structure)
        ids[numbered > 0] = numbered[numbered > 0] + count
        count += found
    return ids, count


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_same_partition_as_scipy(connectivity):
    labels = label_map(random_blobs((23, 31, 17), seed=1))
    found = components(labels, connectivity=connectivity)
    expected, count = by_scipy(labels.array, connectivity)
    assert len(found.rows) == count
    assert same_partition(found.ids, expected)


def test_rows_describe_the_map():
    labels = label_map(random_blobs((20, 20, 20), seed=2), oblique_affine())
    found = components(labels)
    values, counts = np.unique(found.ids[found.ids > 0], return_counts=True)
    assert values.tolist() == [row.id for row in found.rows]
    assert counts.tolist() == [row.voxels for row in found.rows]
    for row in found.rows:
        inside = np.argwhere(found.ids == row.id)
        assert np.unique(labels.array[found.ids == row.id]).tolist() == [row.class_value]
        assert row.measures.volume_ml == pytest.approx(len(inside) * 0.7 * 0.9 * 2.5 / 1000)
        assert row.measures.centroid_mm == pytest.approx(labels.geometry.to_world(inside).mean(axis=0))
        assert row.measures.start == tuple(inside.min(axis=0))
        assert row.measures.stop == tuple(inside.max(axis=0) + 1)


def test_ids_go_by_class_then_size():
    found = components(label_map(random_blobs((24, 24, 24), seed=3)))
    keys = [(row.class_value, -row.voxels) for row in found.rows]
    assert keys == sorted(keys)
    assert len({row.class_value for row in found.rows}) == 3


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 14)),
    planes=st.integers(1, 14),
    connectivity=st.sampled_from([6, 18, 26]),
    order=st.sampled_from("FC"),
    density=st.floats(0.05, 0.9),
)
def test_slabs_do_not_show(seed, shape, planes, connectivity, order, density):
    labels = label_map(np.asarray(random_blobs(shape, seed, density=density), order=order))
    whole = components(labels, connectivity=connectivity, planes=max(shape))
    slabbed = components(labels, connectivity=connectivity, planes=planes)
    assert np.array_equal(whole.ids, slabbed.ids)
    assert whole.rows == slabbed.rows
    expected, _ = by_scipy(labels.array, 26 if connectivity == 18 and 1 in shape else connectivity)
    assert same_partition(whole.ids, expected)


def test_an_object_that_joins_only_beyond_later_slabs():
    array = np.zeros((5, 3, 40))
    array[0], array[4] = 1, 1  # two walls
    array[:, :, 39] = 1  # joined in the last plane
    array[2, 1, :38] = 2
    for planes in (1, 7, 40):
        found = components(label_map(array), planes=planes)
        assert [(row.class_value, row.voxels) for row in found.rows] == [(1, 3 * 40 * 2 + 3 * 3), (2, 38)]


def test_all_48_orientations_give_the_same_ids_and_measures():
    labels = label_map(random_blobs((9, 11, 13), seed=5), oblique_affine())
    first = components(labels)
    for turned, back in orientations(labels):
        found = components(turned)
        assert np.array_equal(back(found.ids), first.ids)
        for row, expected in zip(found.rows, first.rows, strict=True):
            assert (row.id, row.class_value, row.voxels) == (expected.id, expected.class_value, expected.voxels)
            assert row.measures.centroid_mm == pytest.approx(expected.measures.centroid_mm)


def test_memory_mapped_in_and_out(tmp_path):
    array = random_blobs((30, 30, 30), seed=6)
    array.ravel(order="F").tofile(tmp_path / "labels")
    source = np.memmap(tmp_path / "labels", np.uint8, "r", shape=array.shape, order="F")
    ids = np.memmap(tmp_path / "ids", np.int32, "w+", shape=array.shape, order="F")
    ids[...] = 7  # whatever it held must not show
    found = components(LabelMap(source, Geometry(np.eye(4), array.shape), LabelTable(())), planes=4, out=ids)
    assert found.ids is ids
    assert np.array_equal(ids, components(label_map(array)).ids)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="6 \\(faces\\)"):  # 8 is for 2D images
        components(label_map(np.ones((2, 2, 2))), connectivity=8)
    with pytest.raises(InputError, match="int32"):
        components(label_map(np.ones((3, 3, 3))), out=np.zeros((3, 3, 3), np.int64))


def test_nothing_and_everything():
    empty = components(label_map(np.zeros((4, 5, 6))))
    assert empty.rows == ()
    assert not empty.ids.any()
    assert [row.voxels for row in components(label_map(np.ones((4, 5, 6)))).rows] == [120]
    assert components(label_map(np.ones((1, 1, 1)))).rows[0].measures.box == (slice(0, 1),) * 3


def test_only_the_classes_asked_for():
    found = components(labels := label_map(random_blobs((12, 12, 12), seed=8)), classes=[2])
    assert {row.class_value for row in found.rows} == {2}
    assert np.array_equal(found.ids > 0, labels.array == 2)


@pytest.mark.parametrize(("connectivity", "count"), [(4, 2), (6, 2), (8, 1), (18, 1), (26, 1)])
@pytest.mark.parametrize("flat", [0, 1, 2])
def test_pictures(connectivity, count, flat):
    diagonal = np.expand_dims(np.eye(2), flat)
    assert len(components(label_map(diagonal), connectivity=connectivity).rows) == count


@pytest.mark.parametrize(("connectivity", "counts"), [(6, (2, 2)), (18, (1, 2)), (26, (1, 1))])
def test_what_touches_in_a_volume(connectivity, counts):
    edge, corner = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    edge[0, 0, 0] = edge[1, 1, 0] = corner[0, 0, 0] = corner[1, 1, 1] = 1
    assert tuple(len(components(label_map(m), connectivity=connectivity).rows) for m in (edge, corner)) == counts


def test_more_objects_than_sixteen_bits_hold():
    array = np.zeros((82, 82, 82), np.uint8)
    array[::2, ::2, ::2] = 1
    found = components(label_map(array), planes=9)
    assert len(found.rows) == 41**3 > 65535
    assert found.ids.max() == 41**3


def test_class_names():
    labels = label_map(np.zeros((2, 2, 2)))
    assert class_values(None, labels.table) == (1, 2, 5)
    assert class_values(["organ"], labels.table) == (5,)
    with pytest.raises(InputError, match=r"called 'liver'.*lesion, cell, organ"):
        class_values(["liver"], labels.table)


def test_stage_scores_objects_of_a_prediction(tmp_path):
    array = np.zeros((6, 4, 4))
    array[:2], array[4:] = 1, 2
    scores = np.zeros((4, 6, 4, 4), np.float32)
    scores[1, :2], scores[2, 4], scores[2, 5] = 0.9, 0.5, 0.7
    found = Components(Components.Options()).run(prediction(label_map(array), scores), RunContext(tmp_path))
    assert [row.score for row in found.rows] == pytest.approx([0.9, 0.6])
    plain = Components(Components.Options(classes=("cell",))).run(label_map(array), RunContext(tmp_path))
    assert [(row.class_value, row.score) for row in plain.rows] == [(2, None)]
