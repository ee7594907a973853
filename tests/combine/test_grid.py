"""The shared grid is scipy's zoom, there and back."""

import numpy as np
import pytest
from scipy import ndimage

from medseg.combine.grid import on_grid
from medseg.combine.merging import paste
from medseg.models.composite_card import GridCard, PartCard
from medseg.types import Geometry, Scan

HASH = "0" * 64


def scan(shape, spacing, dtype=np.int16):
    values = np.random.default_rng(0).normal(0, 400, shape).astype(dtype)
    return Scan(values[None], Geometry(np.diag([*spacing, 1.0]), shape), "CT")


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((20, 17, 9), (0.8, 0.7, 5.0)), ((9, 12, 30), (3.0, 2.0, 1.0)), ((11, 1, 7), (1.0, 1.0, 4.0))],
)
def test_there_and_back_as_scipy_zooms(shape, spacing):
    one = scan(shape, spacing)
    found = on_grid(one, GridCard(spacing=(1.5, 1.5, 1.5), order=1, whole_numbers=True))
    expected = ndimage.zoom(one.array[0].astype(float), np.array(spacing) / 1.5, mode="nearest", order=1)
    assert found.scan.array.shape[1:] == expected.shape
    assert found.scan.array.dtype == np.int16
    # Where scipy's own rounding error lies below a whole number, it is cut to the one before.
    assert np.abs(found.scan.array[0] - expected.astype(np.int32)).max() <= 1
    assert np.array_equal(found.scan.array[0], np.trunc(np.round(expected, 3)))
    assert np.allclose(found.scan.geometry.spacing, 1.5)
    labels = np.random.default_rng(1).integers(0, 4, expected.shape).astype(np.uint8)
    zoom = np.array(shape) / expected.shape
    target = np.zeros(shape, np.uint8)
    paste(target, labels, found.back, PartCard(name="x", sha256=HASH, values={1: 1, 2: 2, 3: 3}))
    assert np.array_equal(target, ndimage.zoom(labels, zoom, mode="nearest", order=0))


def test_the_same_spacing_changes_nothing():
    one = scan((6, 5, 4), (1.5, 1.5, 1.5), np.float32)
    assert on_grid(one, GridCard(spacing=(1.5, 1.5, 1.5), whole_numbers=True)).scan is one
    assert on_grid(one, None).scan is one


def test_labels_go_over_others_only_where_there_are_any():
    target = np.full((3, 1, 1), 9, np.uint8)
    labels = np.array([0, 1, 2], np.uint8)[:, None, None]
    back = (np.arange(3), np.arange(1), np.arange(1))
    paste(target, labels, back, PartCard(name="x", sha256=HASH, values={2: 7}))
    assert target.ravel().tolist() == [9, 9, 7]
