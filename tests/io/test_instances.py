"""Objects on disk: NIfTI and CSV, DICOM SEG."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from objects_for_tests import TABLE, label_map, oblique_affine, random_blobs
from small_labels import MODEL
from small_series import small_series

from medseg.engine.stages.saving import SaveObjects
from medseg.errors import InputError
from medseg.io import nifti
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.seg import write_seg
from medseg.io.instances import read_instances, write_instances
from medseg.io.object_labels import object_labels
from medseg.post.components import components
from medseg.post.panoptic import panoptic
from medseg.types import Case, Instances, LabelClass, LabelMap, LabelTable, Scan, Source
from medseg.types.instances import ObjectsOfCase
from medseg.types.stage import RunContext


def measured(shape=(9, 10, 11), channels=1, affine=None):
    labels = label_map(random_blobs(shape, seed=1), oblique_affine() if affine is None else affine)
    rng = np.random.default_rng(0)
    scan = Scan(rng.random((channels, *shape), np.float32), labels.geometry)
    probabilities = rng.random((4, *shape), np.float32)
    return panoptic(labels, scan=scan, probabilities=probabilities), scan


def assert_same(one, other):
    assert np.array_equal(one.ids, other.ids)
    assert one.geometry.matches(other.geometry)
    assert len(one.rows) == len(other.rows)
    for row, expected in zip(one.rows, other.rows, strict=True):
        for name in ("id", "class_value", "is_thing", "voxels"):
            assert getattr(row, name) == getattr(expected, name)
        assert row.score == pytest.approx(expected.score)


@pytest.mark.parametrize("channels", [1, 3])
def test_there_and_back(tmp_path, channels):
    instances, _ = measured(channels=channels)
    write_instances(instances, tmp_path)
    back = read_instances(tmp_path)
    assert_same(back, instances)
    assert [(item.value, item.name, item.is_thing) for item in back.table] == [
        (item.value, item.name, item.is_thing) for item in TABLE
    ]
    for row, expected in zip(back.rows, instances.rows, strict=True):
        assert row.measures.box == expected.measures.box
        for name in ("centroid_mm", "diameter_mm", "sphericity", "mean_intensity", "long_axis_mm", "short_axis_mm"):
            assert getattr(row.measures, name) == pytest.approx(getattr(expected.measures, name)), name
        for found, known in zip(row.measures.values, expected.measures.values, strict=True):
            assert found.figures() == pytest.approx(known.figures())


def test_other_readers(tmp_path):
    instances, _ = measured()
    write_instances(instances, tmp_path)
    picture = nib.load(tmp_path / "instances.nii.gz")
    assert picture.get_data_dtype() == np.int32
    assert np.array_equal(np.asarray(picture.dataobj), instances.ids)
    assert np.allclose(picture.affine, instances.geometry.affine, atol=1e-4)
    table = pd.read_csv(tmp_path / "instances.csv")
    expected_ml = (instances.ids > 0).sum() * instances.geometry.voxel_volume / 1000
    assert table["volume_ml"].sum() == pytest.approx(expected_ml)
    assert table["class"].tolist() == [instances.table.name_of(row.class_value) for row in instances.rows]
    assert table.loc[~table["is_thing"], "diameter_mm"].isna().all()


def test_nothing_measured_and_nothing_there(tmp_path):
    instances, _ = measured()
    bare = Instances(
        instances.ids,
        instances.geometry,
        tuple(type(row)(row.id, row.class_value, row.is_thing, row.voxels, row.score) for row in instances.rows),
        instances.table,
    )
    write_instances(bare, tmp_path)
    assert read_instances(tmp_path).rows[0].measures is None
    empty = components(label_map(np.zeros((3, 3, 3))))
    write_instances(empty, tmp_path)
    assert read_instances(tmp_path).rows == ()


def test_2d_images_have_areas_and_tables_of_older_versions_are_read(tmp_path):
    labels = label_map(np.ones((4, 5, 1)), affine=np.diag([0.5, 1, 3, 1]))
    for source, column, area in ((None, "area_mm2", 10), (Source("image2d"), "area_px", 20)):
        write_instances(components(labels), tmp_path, source)
        assert pd.read_csv(tmp_path / "instances.csv")[column].tolist() == [area]
        assert read_instances(tmp_path).rows[0].measures.volume_ml == pytest.approx(0.03)
    table = tmp_path / "instances.csv"
    table.write_text(table.read_text().replace("area_px", "volume_mm3").replace(",20,20,", ",20,30,"))
    assert read_instances(tmp_path).rows[0].measures.volume_ml == pytest.approx(0.03)


def test_files_that_do_not_belong_together(tmp_path):
    instances, _ = measured()
    write_instances(instances, tmp_path)
    table = tmp_path / "instances.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="not those of instances"):
        read_instances(tmp_path)
    for text in ("", "id,nonsense\n1,2\n", "\n".join([lines[0], lines[1].replace("1", "x", 1)])):
        table.write_text(text)
        with pytest.raises(InputError):
            read_instances(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_instances(tmp_path / "elsewhere")


def test_names_with_commas_and_quotes(tmp_path):
    table = LabelTable((LabelClass(1, 'left, "upper"\nlobe', is_thing=True),))
    write_instances(components(label_map(np.ones((2, 2, 2)), table=table)), tmp_path)
    assert read_instances(tmp_path).table.name_of(1) == 'left, "upper"\nlobe'


def test_stage_writes_on_the_grid_of_the_source(tmp_path):
    instances, scan = measured()
    nifti.write_scan(scan, tmp_path / "scan.nii.gz")
    case = Case("a", (nifti.read_scan(tmp_path / "scan.nii.gz"),))
    SaveObjects(SaveObjects.Options()).run(ObjectsOfCase(instances, case), RunContext(tmp_path, "a"))
    written = nib.load(tmp_path / "a" / "instances.nii.gz")
    assert np.array_equal(written.affine, nib.load(tmp_path / "scan.nii.gz").affine)
    assert (tmp_path / "a" / "instances.csv").is_file()


def test_dicom_seg_with_one_segment_for_each_object(tmp_path):
    source, geometry = small_series(tmp_path / "scan")
    array = random_blobs(geometry.shape, seed=3).astype(np.uint8)
    array[0, 0, 0] = array[-1, -1, -1] = 1  # so that the whole grid comes back
    instances = panoptic(LabelMap(array, geometry, TABLE))
    assert len(instances.rows) > 20
    segments = object_labels(instances)
    write_seg(segments, source, tmp_path / "objects.seg.dcm", model=MODEL)
    back = read_seg(tmp_path / "objects.seg.dcm")
    assert back.geometry.difference(geometry) < 1e-3
    assert np.array_equal(back.array, instances.ids)
    assert [item.name for item in back.table] == [item.name for item in segments.table]
