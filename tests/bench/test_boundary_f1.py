import math

import numpy as np
import pytest

from medseg.bench.boundary_f1 import boundary_f1
from medseg.types import Geometry


def _geometry(shape, spacing=1.0):
    return Geometry(np.diag([spacing, spacing, 1.0, 1.0]), shape)


def _square(start, stop, shape=(40, 40, 1)):
    mask = np.zeros(shape, bool)
    mask[start:stop, start:stop] = True
    return mask


def test_a_mask_agrees_with_itself():
    mask = _square(10, 30)
    assert boundary_f1(mask, mask, _geometry(mask.shape), 1.0) == 1.0


@pytest.mark.parametrize(
    ("tolerance", "spacing", "near"), [(1.9, 1.0, False), (2.0, 1.0, True), (1.0, 0.5, True), (1.0, 2.0, False)]
)
def test_strips_agree_from_the_distance_in_mm_between_their_edges(tolerance, spacing, near):
    # Strips across the whole image: two edges of 40 pixels, and 20 or 16 pixels on each side of it.
    outer, inner = np.zeros((40, 40, 1), bool), np.zeros((40, 40, 1), bool)
    outer[10:30], inner[12:28] = True, True
    value = boundary_f1(outer, inner, _geometry(outer.shape, spacing), tolerance)
    assert value == 1.0 if near else value < 0.5


def test_it_is_the_harmonic_mean_of_precision_and_recall():
    reference = _square(10, 20)
    prediction = reference.copy()
    prediction[30:35, 30:35] = True  # 16 border pixels far from anything, beside 36 right ones
    precision, recall = 36 / 52, 1.0
    value = boundary_f1(reference, prediction, _geometry(reference.shape), 1.0)
    assert value == pytest.approx(2 * precision * recall / (precision + recall))


def test_empty_masks():
    empty, full = np.zeros((8, 8, 8), bool), np.ones((8, 8, 8), bool)
    assert math.isnan(boundary_f1(empty, empty, _geometry(empty.shape), 1.0))
    assert boundary_f1(full, empty, _geometry(empty.shape), 1.0) == 0.0
    assert boundary_f1(empty, full, _geometry(empty.shape), 1.0) == 0.0
