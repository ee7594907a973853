"""What is measured of each object, against SimpleITK's label statistics, object by object."""

import csv
from dataclasses import replace

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from objects_for_tests import TABLE, ball
from pydicom.sr.codedict import codes
from small_labels import MODEL
from small_series import small_series

from medseg.engine.batch_report import render_report
from medseg.io.formats import Labeled, write
from medseg.io.instances import read_instances, write_instances
from medseg.post.class_values import measure_values
from medseg.post.components import components
from medseg.post.measure import measure
from medseg.post.volumes import measure_volumes
from medseg.types import Geometry, LabelMap, LabelTable, Scan, Source
from medseg.types.run import BatchResult, CaseOutcome

SPACING = (0.8, 1.1, 2.5)
SHAPE = (40, 36, 16)


def lesions(geometry=None, source=None, table=TABLE):
    array = np.zeros(SHAPE if geometry is None else geometry.shape, np.uint8)
    array[ball(array.shape, (10, 10, 5), 5, SPACING)] = 1
    array[ball(array.shape, (27, 22, 9), 7, SPACING) & (np.indices(array.shape)[0] > 24)] = 1
    array[3, 30, 14] = 1
    labels = LabelMap(array, geometry or Geometry(np.diag([*SPACING, 1]), array.shape), table)
    values = np.random.default_rng(0).normal(5, 2, (1, *array.shape)).astype(np.float32)
    scan = Scan(values, labels.geometry, "PT", source or Source("array", value_unit="SUV"))
    return labels, scan, measure(components(labels), scan)


def test_they_are_simpleitk_s():
    _, scan, found = lesions()
    image, ids = (sitk.GetImageFromArray(array.T) for array in (scan.array[0], found.ids))
    for one in (image, ids):
        one.SetSpacing(SPACING)
    intensity, shape = sitk.LabelIntensityStatisticsImageFilter(), sitk.LabelShapeStatisticsImageFilter()
    intensity.SetNumberOfBins(1 << 20)
    shape.ComputeFeretDiameterOn()
    intensity.Execute(ids, image)
    shape.Execute(ids)
    assert len(found.rows) == 3
    for row in found.rows:
        n, [values] = shape.GetNumberOfPixels(row.id), row.measures.values
        assert row.voxels == n
        assert row.measures.volume_ml == pytest.approx(shape.GetPhysicalSize(row.id) / 1000)
        assert row.measures.centroid_mm == pytest.approx(shape.GetCentroid(row.id))
        assert (*row.measures.start, *np.subtract(row.measures.stop, row.measures.start)) == shape.GetBoundingBox(
            row.id
        )
        assert values.mean == row.measures.mean_intensity[0] == pytest.approx(intensity.GetMean(row.id))
        assert values.median == pytest.approx(intensity.GetMedian(row.id), abs=0.01) or n < 3
        assert (values.minimum, values.maximum) == (intensity.GetMinimum(row.id), intensity.GetMaximum(row.id))
        deviation = 0 if n == 1 else intensity.GetStandardDeviation(row.id) * np.sqrt((n - 1) / n)
        assert values.standard_deviation == pytest.approx(deviation)
        assert values.tlg == pytest.approx(values.mean * row.measures.volume_ml)
        # ITK measures from center to center of voxels, and voxels here are solid.
        feret = shape.GetFeretDiameter(row.id)
        assert feret < row.measures.diameter_mm <= feret + np.linalg.norm(SPACING) + 1e-9
        assert row.measures.short_axis_mm <= row.measures.long_axis_mm <= row.measures.diameter_mm


def test_each_object_has_a_group_in_the_report_that_refers_to_its_own_segment(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    array = np.zeros(geometry.shape, np.uint8)
    array[2:5, 2:9, 1:3], array[9:11, 9:12, 2] = 1, 1
    labels = LabelMap(array, geometry, LabelTable(TABLE.classes[:1]))
    scan = Scan(np.random.default_rng(0).normal(40, 9, (1, *geometry.shape)).astype(np.float32), geometry, "CT", source)
    found = measure(components(labels), scan)
    volumes = measure_values(scan, labels, measure_volumes(labels, found))
    written = write("sr", Labeled(labels, source, MODEL, instances=found, volumes=volumes), tmp_path)
    assert {path.name for path in written.files} == {"labels.seg.dcm", "objects.seg.dcm", "labels.sr.dcm"}
    segments = hd.seg.segread(tmp_path / "objects.seg.dcm")
    groups = hd.sr.srread(tmp_path / "labels.sr.dcm").content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["lesion", "lesion 1", "lesion 2"]
    assert len({group.tracking_uid for group in groups}) == 3
    for number, (row, group) in enumerate(zip(found.rows, groups[1:], strict=True), start=1):
        assert group.referenced_segment.referenced_sop_instance_uid == segments.SOPInstanceUID
        assert group.tracking_uid == segments.get_segment_description(number).tracking_uid
        stated = {m.name.meaning: m.value for m in group.get_measurements() if m.derivation is None}
        assert stated["Volume"] == pytest.approx(row.measures.volume_ml, rel=1e-5)
        assert stated["Long axis"] == pytest.approx(row.measures.long_axis_mm, rel=1e-5)
        assert stated["Short axis"] == pytest.approx(row.measures.short_axis_mm, rel=1e-5)
        means = [m.value for m in group.get_measurements() if m.derivation and m.derivation == codes.SCT.Mean]
        assert means == pytest.approx(row.measures.mean_intensity, rel=1e-5)


def test_more_objects_than_a_report_can_list_are_said_to_be_left_out(tmp_path, monkeypatch):
    from medseg.io.dicom_results import sr

    monkeypatch.setattr(sr, "MOST_OBJECTS", 1)
    source, geometry = small_series(tmp_path / "in")
    array = np.zeros(geometry.shape, np.uint8)
    array[2, 2, 1], array[9, 9, 2] = 1, 1
    labels = LabelMap(array, geometry, LabelTable(TABLE.classes[:1]))
    written = write("sr", Labeled(labels, source, MODEL, instances=components(labels)), tmp_path)
    assert any("classes only, as there are 2 objects" in note for note in written.notes)
    assert not (tmp_path / "objects.seg.dcm").exists()


def test_objects_of_a_result_that_was_to_be_withheld_say_so(tmp_path):
    _, _, found = lesions()
    for mark in ("", "not what the model is for"):
        write_instances(found, tmp_path, mark=mark)
        with (tmp_path / "instances.csv").open(newline="") as stream:
            assert {row.get("mark", "") for row in csv.DictReader(stream)} == {mark}
        described = nib.load(tmp_path / "instances.nii.gz").header["descrip"].item().decode()
        assert described == ("medseg: not what the model is for" if mark else "medseg")
        assert len(read_instances(tmp_path).rows) == len(found.rows)


def test_the_report_of_a_batch_shows_classes_and_their_largest_objects(tmp_path):
    labels, scan, found = lesions()
    write_instances(found, tmp_path / "a")
    volumes = measure_values(scan, labels, measure_volumes(labels, found))
    outcome = CaseOutcome("a", "done", "a.nii.gz", tmp_path / "a", volumes=volumes, outputs=("instances.csv",))
    page = render_report(BatchResult(tmp_path, (outcome,)))
    first = found.rows[0].measures
    for text in (
        "lesion 3",
        f"{first.long_axis_mm:.1f} × {first.short_axis_mm:.1f}",
        f"TLG {first.values[0].tlg:.4g} g",
    ):
        assert text in page
    bare = replace(outcome, volumes=measure_volumes(labels, found))
    assert "Measurements" not in render_report(BatchResult(tmp_path, (bare,)))
