"""Each type that travels says in one line what it is, without voxels, and NumPy and nibabel take what they know."""

from pathlib import Path

import numpy as np
import pytest

from medseg.io.measurements import table_of_measurements
from medseg.post.volumes import measure_volumes
from medseg.types import (
    Case,
    Discovery,
    Geometry,
    InstanceRow,
    Instances,
    LabelClass,
    LabelMap,
    LabelTable,
    ModelIdentity,
    Prediction,
    Scan,
    Skipped,
    Source,
)
from medseg.types.extent import extent_unit
from medseg.types.run import Volumes

GRID = Geometry(np.diag([-0.7, 0.7, 5, 1]), (3, 4, 2))
TABLE = LabelTable((LabelClass(1, "liver", is_thing=True),))
LABELS = LabelMap(np.ones(GRID.shape, np.uint8), GRID, TABLE)
SCAN = Scan(np.zeros((2, *GRID.shape), np.float32), GRID, "MR")


@pytest.mark.parametrize(
    "item",
    [
        GRID,
        SCAN,
        LABELS,
        Prediction(LABELS, ModelIdentity("liver", "2", "0" * 64), np.zeros((2, *GRID.shape), np.float32)),
        Instances(np.ones(GRID.shape, np.int32), GRID, (InstanceRow(1, 1, True, 24),), TABLE),
        Case("a", (SCAN,), LABELS),
    ],
)
def test_one_line_with_shape_spacing_and_orientation(item):
    text = repr(item)
    assert text.startswith(type(item).__name__)
    assert "\n" not in text
    assert "array" not in text
    for part in ("(3, 4, 2)", "(0.7, 0.7, 5) mm", "'LAS'"):
        assert part in text


def test_a_discovery_counts():
    assert repr(Discovery((), (Skipped(Path("a"), "text"),))) == "Discovery(0 scans found, 1 file skipped)"


def test_a_label_map_is_an_array_and_a_nibabel_image():
    assert np.asarray(LABELS) is LABELS.array
    assert np.array(LABELS, dtype=np.float32).dtype == np.float32
    image = LABELS.to_nibabel()
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(image.dataobj), LABELS.array)
    assert np.array_equal(image.affine, GRID.affine)


@pytest.mark.parametrize(
    ("shape", "source", "unit", "size"),
    [
        ((2, 5, 1), Source("image2d"), "area_px", 10),
        ((2, 5, 1), Source("nifti"), "area_mm2", 2.5),
        ((2, 5, 4), Source("image2d"), "volume_ml", 0.03),
    ],
)
def test_a_2d_image_has_an_area(shape, source, unit, size):
    geometry = Geometry(np.diag([0.5, 0.5, 3, 1]), shape)
    assert extent_unit(geometry, source) == unit
    volumes = measure_volumes(LabelMap(np.ones(shape, np.uint8), geometry, TABLE), unit=unit)
    assert volumes.rows[0].size == pytest.approx(size)
    assert Volumes.from_json(volumes.to_json()) == volumes
    assert table_of_measurements(volumes).startswith(f"class,voxels,{unit}\nliver,")
