"""Objects as classes: ids, names and codes survive; every object is a segment of its own."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from small_labels import ANATOMY, MODEL, TABLE, some_labels
from small_series import OBLIQUE, small_series

from medseg.errors import FormatLimitation
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.formats import Labeled, write
from medseg.io.object_labels import object_labels
from medseg.post.components import components
from medseg.prepare.regrid import regrid
from medseg.types import Geometry, Instances, LabelClass, LabelMap, LabelTable
from medseg.types.instances import InstanceRow

KINDS = LabelTable((replace(TABLE.classes[0], is_thing=True), TABLE.classes[1]))


def three_objects(geometry: Geometry) -> Instances:
    """Two livers, which touch, and one region of the other class in two pieces."""
    array = np.zeros(geometry.shape, np.int32)
    array[2:5, 3:6, 1:4], array[5:7, 3:6, 1:4] = 1, 2
    array[8:10, 2:4, 1:3] = array[8:10, 7:9, 2:4] = 3
    rows = tuple(InstanceRow(n, 1 if n < 3 else 2, n < 3, int((array == n).sum())) for n in (1, 2, 3))
    return Instances(array, geometry, rows, KINDS)


def test_a_class_for_each_object():
    labels = object_labels(three_objects(Geometry(np.eye(4), (13, 11, 6))))
    assert [(c.value, c.name, c.is_thing) for c in labels.table] == [
        (1, "liver 1", True),
        (2, "liver 2", True),
        (3, "Größe α", False),
    ]
    assert [c.code for c in labels.table] == [TABLE.classes[0].code] * 2 + [None]
    assert labels.table.classes[0].color != labels.table.classes[1].color
    assert labels.table.classes[2].color == TABLE.classes[1].color
    assert labels.array.dtype == np.uint8


def test_objects_are_counted_within_their_class_in_the_order_of_their_ids(tmp_path):
    source, geometry = small_series(tmp_path / "in", shape=(16, 11, 6))
    array = np.zeros(geometry.shape, np.int32)
    rows = []
    for number, value in enumerate((1, 1, 2, 2), start=1):
        array[3 * number - 2, 2:4, 2] = number
        rows.append(InstanceRow(number, value, True, 2))
    kinds = LabelTable(tuple(LabelClass(v, name, is_thing=True) for v, name in ((1, "kidney"), (2, "lesion"))))
    objects = Instances(array, geometry, tuple(rows), kinds)
    labels = LabelMap(np.zeros(geometry.shape, np.uint8), geometry, kinds)
    (path,), *_ = write("dicom-seg-objects", Labeled(labels, source, MODEL, instances=objects), tmp_path)
    segments = pydicom.dcmread(path).SegmentSequence
    assert [s.SegmentLabel for s in segments] == ["kidney 1", "kidney 2", "lesion 1", "lesion 2"]
    assert [s.SegmentNumber for s in segments] == [1, 2, 3, 4]


def test_a_segment_for_each_object(tmp_path):
    source, geometry = small_series(tmp_path / "in", shape=(16, 11, 6), orientation=OBLIQUE)
    objects = three_objects(geometry)
    labels = LabelMap(np.zeros(geometry.shape, np.uint8), geometry, TABLE)
    (path,), notes, _ = write("dicom-seg-objects", Labeled(labels, source, MODEL, instances=objects), tmp_path)
    assert (path.name, notes) == ("objects.seg.dcm", ())
    seg = pydicom.dcmread(path)
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["liver 1", "liver 2", "Größe α"]
    assert [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in seg.SegmentSequence] == [
        "10200004", "10200004", ANATOMY.value
    ]  # fmt: skip
    assert len({s.TrackingUID for s in seg.SegmentSequence}) == 3
    assert np.array_equal(regrid(read_seg(path), geometry).array, objects.ids)


def test_three_hundred_objects(tmp_path):
    """More than a byte counts, and more than one frame for each."""
    source, geometry = small_series(tmp_path / "in", shape=(64, 64, 8))
    spots = np.zeros(geometry.shape, np.uint8)
    spots[1::3, 1::3, 2:5] = 1
    objects = components(LabelMap(spots, geometry, LabelTable((LabelClass(1, "lesion", is_thing=True),))))
    assert len(objects.rows) == 441
    labeled = Labeled(LabelMap(spots, geometry, TABLE), source, MODEL, instances=objects)
    (path,), *_ = write("dicom-seg-objects", labeled, tmp_path)
    assert np.array_equal(regrid(read_seg(path), geometry).array, objects.ids)


def test_without_objects_and_with_too_many(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    with pytest.raises(FormatLimitation, match="no objects were made"):
        write("dicom-seg-objects", Labeled(some_labels(geometry), source, MODEL), tmp_path)
    objects = three_objects(geometry)
    many = replace(objects, rows=(*objects.rows, InstanceRow(70000, 1, True, 0)))
    with pytest.raises(FormatLimitation, match="70000 objects"):
        object_labels(many)
