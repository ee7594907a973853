"""Regridding moves every label to its own place and nowhere else, or refuses."""

from itertools import permutations, product

import numpy as np
import pytest

from medseg.errors import GeometryMismatch
from medseg.prepare.regrid import regrid
from medseg.types import Geometry, LabelMap, LabelTable
from medseg.types.axis_order import AxisOrder

TABLE = LabelTable.unnamed([1, 2])


def oblique() -> Geometry:
    affine = np.eye(4)
    turn = np.array([(0.8, 0.48, 0.36), (-0.6, 0.64, 0.48), (0.0, -0.6, 0.8)]).T
    affine[:3, :3] = turn * (0.8, 0.9, 1.5)
    affine[:3, 3] = (12.0, -80.0, 90.0)
    return Geometry(affine, (6, 5, 4))


def labels(geometry: Geometry) -> LabelMap:
    return LabelMap(np.random.default_rng(0).integers(0, 3, geometry.shape).astype(np.uint8), geometry, TABLE)


@pytest.mark.parametrize(
    "order", [AxisOrder(p, f) for p in permutations(range(3)) for f in product([False, True], repeat=3)]
)
def test_all_48_orders_of_axes_come_back(order):
    original = labels(oblique())
    turned = LabelMap(np.ascontiguousarray(order.apply(original.array)), order.geometry(original.geometry), TABLE)
    back = regrid(turned, original.geometry)
    assert np.array_equal(back.array, original.array)
    assert back.geometry is original.geometry


def test_a_slab_finds_its_place_in_the_whole():
    whole = labels(oblique())
    whole.array[:, :, [0, 3]] = 0
    affine = whole.geometry.affine.copy()
    affine[:3, 3] = whole.geometry.to_world((0, 0, 1))
    slab = LabelMap(whole.array[:, :, 1:3], Geometry(affine, (6, 5, 2)), TABLE)
    assert np.array_equal(regrid(slab, whole.geometry).array, whole.array)
    assert np.array_equal(regrid(whole, slab.geometry).array, slab.array)  # nothing lies outside the slab


def test_labels_outside_are_never_dropped():
    whole = labels(oblique())
    affine = whole.geometry.affine.copy()
    affine[:3, 3] = whole.geometry.to_world((0, 0, 1))
    with pytest.raises(GeometryMismatch, match="outside"):
        regrid(whole, Geometry(affine, (6, 5, 2)))


@pytest.mark.parametrize("change", ["shift", "scale", "turn"])
def test_anything_else_is_refused(change):
    original = labels(oblique())
    affine = original.geometry.affine.copy()
    if change == "shift":
        affine[:3, 3] += affine[:3, 1] * 0.3
    elif change == "scale":
        affine[:3, 2] *= 1.2
    else:
        affine[:3, :2] = affine[:3, :2] @ [[0.98, -0.2], [0.2, 0.98]]
    with pytest.raises(GeometryMismatch):
        regrid(original, Geometry(affine, original.geometry.shape))
