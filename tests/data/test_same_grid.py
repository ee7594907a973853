from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from medseg.data.same_grid import ORDER, SHIFTED, onto_same_grid
from medseg.errors import GeometryMismatch
from medseg.types import Geometry, LabelMap, LabelTable
from medseg.types.axis_order import AxisOrder

AFFINE = np.array([[-0.8, 0, 0, 100], [0, -0.9, 0, 120], [0, 0, 3.0, -50], [0, 0, 0, 1]])
GRID = Geometry(AFFINE, (5, 4, 3))
VALUES = np.random.default_rng(0).integers(0, 3, GRID.shape).astype(np.uint8)


def labels(array, geometry):
    return LabelMap(array, geometry, LabelTable.unnamed([1, 2]))


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_each_of_48_orders_is_brought_back_exactly(axes, flips):
    order = AxisOrder(axes, flips)
    stored = labels(np.ascontiguousarray(order.apply(VALUES)), order.geometry(GRID))
    found, notes = onto_same_grid(stored, GRID, Path("a.nii.gz"))
    assert np.array_equal(found.array, VALUES)
    assert found.geometry is GRID
    changed = axes != (0, 1, 2) or any(flips)
    assert [kind for kind, _ in notes] == [ORDER] * changed


@pytest.mark.parametrize(("shift", "kinds"), [(0.004, []), (0.06, [SHIFTED]), (0.079, [SHIFTED])])
def test_less_than_a_tenth_of_a_voxel_is_taken(shift, kinds):
    moved = AFFINE.copy()
    moved[0, 3] += shift
    found, notes = onto_same_grid(labels(VALUES, Geometry(moved, GRID.shape)), GRID, Path("a.nii.gz"))
    assert [kind for kind, _ in notes] == kinds
    assert np.array_equal(found.array, VALUES)


@pytest.mark.parametrize("change", ["place", "shape"])
def test_anything_else_is_another_grid(change):
    moved = AFFINE.copy()
    moved[2, 3] += 0.1
    other = Geometry(moved, GRID.shape) if change == "place" else Geometry(AFFINE, (5, 4, 4))
    array = VALUES if change == "place" else np.zeros((5, 4, 4), np.uint8)
    with pytest.raises(GeometryMismatch, match="image and reference"):
        onto_same_grid(labels(array, other), GRID, Path("a.nii.gz"))
