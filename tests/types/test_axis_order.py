import nibabel as nib
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from objects_for_tests import ORDERS, oblique_affine

from medseg.types import Geometry
from medseg.types.axis_order import AxisOrder, nearest_ras


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_moves_voxels_with_their_world_position(order):
    rng = np.random.default_rng(1)
    affine = np.array([[1.1, 0.1, 0, -7], [-0.1, 0.8, 0.2, 3], [0, -0.2, 3.0, 11], [0, 0, 0, 1]])
    source = Geometry(affine, (3, 4, 5))
    array = rng.normal(size=(2, 3, 4, 5))
    turned, grid = order.apply(array), order.geometry(source)

    assert turned.shape[1:] == grid.shape
    assert np.array_equal(order.undo(turned), array)
    for index in np.ndindex(grid.shape):
        back = np.rint(source.to_voxel(grid.to_world(index))).astype(int)
        assert np.array_equal(turned[(slice(None), *index)], array[(slice(None), *back)])


@settings(max_examples=60)
@given(st.sampled_from(ORDERS), st.tuples(*[st.floats(0.3, 5)] * 3), st.tuples(*[st.floats(-0.9, 0.9)] * 3))
# Two assignments are equally near.
@example(ORDERS[5], (1.0, 1.0, 1.0), (0.75, 0.5, 0.75))
@example(ORDERS[-1], (1.0, 1.0, 1.0), (0.75, 0.5, 0.75))
@example(ORDERS[7], (1.0, 2.0, 1.0), (np.pi / 4, 0.0, 0.0))
@example(ORDERS[-1], (1.0, 1.0, 1.0), (np.pi / 4, 0.0, np.pi / 4))
def test_any_stored_order_of_an_oblique_scan_comes_to_the_same_grid(order, spacing, angles):
    scan = Geometry(oblique_affine(spacing, (0, 0, 0), angles), (4, 5, 6))
    stored = order.geometry(scan)

    ordered = nearest_ras(stored).geometry(stored)
    expected = nearest_ras(scan).geometry(scan)
    assert ordered.shape == expected.shape
    assert np.allclose(ordered.affine, expected.affine, atol=1e-9)


def test_agrees_with_nibabel_on_scans_that_are_not_very_oblique():
    rng = np.random.default_rng(0)
    for order in ORDERS:
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3) + rng.normal(scale=0.1, size=(3, 3))
        stored = order.geometry(Geometry(affine, (4, 5, 6)))
        ordered = nearest_ras(stored).geometry(stored)
        assert nib.aff2axcodes(ordered.affine) == ("R", "A", "S")


def test_then_composes_orders():
    array = np.arange(24).reshape(2, 3, 4)
    first = AxisOrder((2, 0, 1), (True, False, True))
    assert np.array_equal(first.then((1, 2, 0)).apply(array), first.apply(array).transpose(1, 2, 0))
