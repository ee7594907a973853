"""Every image is turned by one rule and has its grays by one rule."""

import numpy as np

from medseg.draw.orientation import Cut, Orientation
from medseg.draw.outline import Layer, paint
from medseg.types import Geometry, Source
from medseg.types.window import gray_levels, gray_window


def test_a_single_slice_on_the_unit_grid_is_shown_as_stored_and_a_scan_is_not():
    flat, volume = Geometry(np.eye(4), (4, 6, 1)), Geometry(np.eye(4), (4, 6, 5))
    array = np.arange(24).reshape(4, 6, 1)
    stored = Orientation.from_geometry(flat)
    assert stored.slice_of(array, Cut(stored.planes[0], 0)).tolist() == array[..., 0].T.tolist()
    turned = Orientation.from_geometry(flat, Source("nifti"))
    assert turned.slice_of(array, Cut(turned.planes[0], 0)).tolist() == array[..., 0].T[::-1, ::-1].tolist()
    assert [plane.name for plane in Orientation.from_geometry(volume).planes] == ["axial", "coronal", "sagittal"]


def test_the_acquired_plane_lies_across_the_largest_spacing():
    assert Orientation.from_geometry(Geometry(np.diag([1, 4, 1, 1]), (9, 9, 9))).acquired.name == "coronal"
    assert Orientation.from_geometry(Geometry(np.diag([1, 1.1, 1, 1]), (9, 9, 9))).acquired.name == "axial"


def test_ct_is_shown_as_soft_tissue_and_all_else_by_percentiles():
    image = np.linspace(0, 1000, 1000).reshape(1, 10, 10, 10)
    assert gray_window(image, "CT") == (-160, 240)
    np.testing.assert_allclose(gray_window(image, "MR"), (10, 995))
    assert gray_window(np.full((1, 2, 2, 2), np.nan), None) == (0, 1)
    assert gray_levels(np.array([-5.0, 0, 0.5, 1, np.nan]), (0, 1)).tolist() == [0, 0, 127, 255, 0]


def test_outlines_lie_on_the_border_of_each_object_also_at_the_edge_of_the_image():
    ids = np.zeros((10, 20), int)
    ids[:, :8], ids[:, 8:12] = 7, 3
    base = np.zeros((100, 200, 3), np.uint8)
    paint(base, ids, Layer(ids, lambda value: (value, 0, 0), width=1))
    red = base[50, :, 0]
    assert np.flatnonzero(red == 7).tolist() == [0, 79]
    assert np.flatnonzero(red == 3).tolist() == [80, 119]
    assert (base[0, 10:70, 0] == 7).all()
