import math

import numpy as np
import pytest

from medseg.evaluation.metrics.centerline import cldice
from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.types import Geometry, LabelMap
from medseg.types.labels import LabelClass, LabelTable


def tube(length=40):
    mask = np.zeros((11, 11, 48), bool)
    mask[4:7, 4:7, 2 : 2 + length] = True
    return mask


def test_a_tube_of_another_thickness_on_the_same_line_is_perfect():
    thin = np.zeros_like(tube())
    thin[5, 5, 3:41] = True
    assert cldice(tube(), thin) == 1.0
    assert cldice(thin, tube()) == 1.0


def test_it_is_the_harmonic_mean_of_the_fractions_that_are_found():
    """The first half of the reference's line is found, and everything that is found is right."""
    reference = np.zeros((5, 60), bool)
    reference[2, 10:50] = True
    half = np.zeros_like(reference)
    half[2, 10:30] = True
    assert cldice(reference, half) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert cldice(half, reference) == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_what_misses_the_line_is_zero_and_nothing_beside_nothing_is_undefined():
    away = np.roll(tube(), 4, axis=0)
    nothing = np.zeros_like(away)
    assert cldice(tube(), away) == 0.0
    assert cldice(tube(), nothing) == cldice(nothing, tube()) == 0.0
    assert math.isnan(cldice(nothing, nothing))


def test_it_is_measured_where_asked_for_on_the_class_alone():
    table = LabelTable((LabelClass(1, "vessel"), LabelClass(2, "other")))
    geometry = Geometry(np.eye(4), (11, 11, 48))
    labels = tube().astype(np.uint8)
    labels[0:2] = 2
    broken = labels.copy()
    broken[:, :, 20:24][broken[:, :, 20:24] == 1] = 0
    maps = LabelMap(labels, geometry, table), LabelMap(broken, geometry, table)
    classes = {"vessel": (1,), "other": (2,), "both": (1, 2)}
    assert "cldice" not in measure_case(*maps, classes).values["vessel"]
    found = measure_case(*maps, classes, EvaluateOptions(centerlines=True, surfaces=False, objects="none")).values
    assert found["vessel"]["cldice"] == cldice(labels == 1, broken == 1) < 1
    assert found["other"]["cldice"] == 1
    assert found["both"]["cldice"] == cldice(labels > 0, broken > 0)
