"""Regridding moves every label to its own place and nowhere else, or refuses."""

import numpy as np
import pytest
from objects_for_tests import ORDERS, oblique_affine

from medseg.errors import GeometryMismatch
from medseg.prepare.regrid import covers_slab, regrid
from medseg.types import Geometry, LabelMap, LabelTable

TABLE = LabelTable.unnamed([1, 2])


GRID = Geometry(oblique_affine((0.8, 0.9, 1.5)), (6, 5, 4))


def labels() -> LabelMap:
    return LabelMap(np.random.default_rng(0).integers(0, 3, GRID.shape).astype(np.uint8), GRID, TABLE)


@pytest.mark.parametrize("order", ORDERS)
def test_all_48_orders_of_axes_come_back(order):
    original = labels()
    turned = LabelMap(np.ascontiguousarray(order.apply(original.array)), order.geometry(original.geometry), TABLE)
    back = regrid(turned, original.geometry)
    assert np.array_equal(back.array, original.array)
    assert back.geometry is original.geometry


def test_a_slab_finds_its_place_in_the_whole():
    whole = labels()
    whole.array[:, :, [0, 3]] = 0
    affine = whole.geometry.affine.copy()
    affine[:3, 3] = whole.geometry.to_world((0, 0, 1))
    slab = LabelMap(whole.array[:, :, 1:3], Geometry(affine, (6, 5, 2)), TABLE)
    assert np.array_equal(regrid(slab, whole.geometry).array, whole.array)
    assert np.array_equal(regrid(whole, slab.geometry).array, slab.array)  # nothing lies outside the slab


@pytest.mark.parametrize(
    ("part", "whole", "covers"),
    [
        ((512, 512, 10), (512, 512, 600), True),
        ((10, 512, 512), (512, 512, 600), True),
        ((6, 5, 4), (5, 4, 6), True),
        ((512, 512, 601), (512, 512, 600), False),
        ((511, 512, 10), (512, 512, 600), False),
    ],
)
def test_a_slab_lacks_slices_along_one_axis(part, whole, covers):
    assert covers_slab(Geometry(np.eye(4), part), Geometry(np.eye(4), whole)) is covers


def test_labels_outside_are_never_dropped():
    whole = labels()
    affine = whole.geometry.affine.copy()
    affine[:3, 3] = whole.geometry.to_world((0, 0, 1))
    with pytest.raises(GeometryMismatch, match="outside"):
        regrid(whole, Geometry(affine, (6, 5, 2)))


@pytest.mark.parametrize("change", ["shift", "scale", "turn"])
def test_anything_else_is_refused(change):
    original = labels()
    affine = original.geometry.affine.copy()
    if change == "shift":
        affine[:3, 3] += affine[:3, 1] * 0.3
    elif change == "scale":
        affine[:3, 2] *= 1.2
    else:
        affine[:3, :2] = affine[:3, :2] @ [[0.98, -0.2], [0.2, 0.98]]
    with pytest.raises(GeometryMismatch):
        regrid(original, Geometry(affine, original.geometry.shape))
