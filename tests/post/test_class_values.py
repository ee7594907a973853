"""The scan's values inside classes, against SimpleITK's figures and what is known by hand."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from objects_for_tests import label_map

from medseg.errors import GeometryMismatch
from medseg.io.measurements import table_of_measurements
from medseg.post.class_values import measure_values
from medseg.post.volumes import measure_volumes
from medseg.types import Geometry, LabelClass, LabelTable, Scan, Source
from medseg.types.overlapping import OverlappingLabels
from medseg.types.run import Volumes

TABLE = LabelTable((LabelClass(1, "liver"), LabelClass(2, "lesion"), LabelClass(7, "absent")))
AFFINE = np.array([[0, 2.0, 0, 5], [-1.5, 0, 0, 8], [0, 0, 3.0, -4], [0, 0, 0, 1]])


def measured(seed=0, unit="HU", channels=1):
    rng = np.random.default_rng(seed)
    labels = label_map(rng.choice([0, 1, 2], size=(20, 24, 16), p=[0.6, 0.3, 0.1]).astype(np.uint8), AFFINE, TABLE)
    array = rng.normal(40, 25, (channels, *labels.array.shape)).astype(np.float32)
    scan = Scan(array, labels.geometry, "CT", Source("array", value_unit=unit))
    return scan, labels, measure_values(scan, labels, measure_volumes(labels))


def test_they_are_simpleitk_s():
    scan, labels, volumes = measured()
    filtered = sitk.LabelIntensityStatisticsImageFilter()
    image, mask = sitk.GetImageFromArray(scan.array[0]), sitk.GetImageFromArray(labels.array)
    filtered.SetNumberOfBins(1 << 20)
    filtered.Execute(mask, image)
    for row, value in zip(volumes.rows[:2], (1, 2), strict=True):
        [found] = row.values
        n = filtered.GetNumberOfPixels(value)
        assert found.mean == pytest.approx(filtered.GetMean(value))
        assert found.median == pytest.approx(filtered.GetMedian(value), abs=0.01)
        assert found.minimum == filtered.GetMinimum(value)
        assert found.maximum == filtered.GetMaximum(value)
        # SimpleITK's is that of a sample, divided by one less than the number of voxels.
        assert found.standard_deviation == pytest.approx(filtered.GetStandardDeviation(value) * np.sqrt((n - 1) / n))
        inside = scan.array[0][labels.array == value]
        assert (inside < found.percentile_5).mean() == pytest.approx(0.05, abs=1 / n)
        assert (inside > found.percentile_95).mean() == pytest.approx(0.05, abs=1 / n)
        assert found.unit == "HU"
        assert found.tlg is None


def test_total_lesion_glycolysis_is_mean_suv_times_volume_and_the_diameter_is_the_boxes_diagonal():
    array = np.zeros((8, 8, 8), np.uint8)
    array[2:4, 2:5, 2:6] = 2
    labels = label_map(array, AFFINE, TABLE)
    scan = Scan(np.where(array == 2, 5.0, 1.0).astype(np.float32)[None], labels.geometry, "PT",
                Source("array", value_unit="SUV"))  # fmt: skip
    row = measure_values(scan, labels, measure_volumes(labels)).rows[1]
    assert row.values[0].tlg == pytest.approx(5 * 24 * 9 / 1000)
    assert row.diameter_mm == pytest.approx(np.linalg.norm([2 * 1.5, 3 * 2, 4 * 3]))


def test_a_class_without_voxels_has_none_and_the_table_leaves_its_cells_empty():
    scan, _, volumes = measured(channels=2)
    assert volumes.rows[2].values == ()
    lines = table_of_measurements(volumes).splitlines()
    assert lines[0].split(",")[3:6] == ["diameter_mm", "long_axis_mm", "short_axis_mm"]
    assert lines[0].split(",")[-1] == "tlg_2"
    assert lines[3] == "absent,0,0" + "," * (3 + 2 * 9)
    assert len({line.count(",") for line in lines}) == 1
    assert scan.channels == 2
    assert Volumes.from_json(volumes.to_json()) == volumes


def test_an_image_without_pixel_size_has_no_length_in_mm():
    array = np.zeros((8, 8, 1), np.uint8)
    array[2:4, 2:5] = 1
    labels = label_map(array, np.eye(4), TABLE)
    scan = Scan(np.ones((1, 8, 8, 1), np.uint8), labels.geometry)
    pixels, known = (
        measure_values(scan, labels, measure_volumes(labels, None, unit)) for unit in ("area_px", "area_mm2")
    )
    assert pixels.rows[0].diameter_mm is pixels.rows[0].long_axis_mm is pixels.rows[0].short_axis_mm is None
    assert pixels.rows[0].values[0].mean == 1
    assert known.rows[0].diameter_mm == known.rows[0].long_axis_mm == pytest.approx(np.hypot(2, 3))
    assert table_of_measurements(pixels).splitlines()[1].startswith("liver,6,6,,,,,1,")


def test_another_grid_is_refused():
    scan, labels, volumes = measured()
    moved = AFFINE.copy()
    moved[0, 3] += 1
    with pytest.raises(GeometryMismatch):
        measure_values(replace(scan, geometry=Geometry(moved, labels.geometry.shape)), labels, volumes)


def test_classes_that_share_voxels_have_the_figures_of_each_alone():
    scan, labels, alone = measured()
    masks = {entry: labels.array == entry.value for entry in TABLE}
    liver, lesion, _ = TABLE
    masks[liver][:10] |= masks[lesion][:10]
    shared = masks[liver]
    overlapping = OverlappingLabels.of_masks(masks.items(), labels.geometry)
    found = measure_values(scan, overlapping, measure_volumes(overlapping)).rows
    assert found[0].values[0].maximum == scan.array[0][shared].max()
    assert found[0].values[0].mean == pytest.approx(scan.array[0][shared].mean(dtype=np.float64))
    assert found[1:] == alone.rows[1:]
