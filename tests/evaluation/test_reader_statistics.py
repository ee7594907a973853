"""Agreement of readers: every figure against the table it was first published with."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.evaluation.aggregate import Bootstrap, percentile_interval
from medseg.evaluation.intraclass import intraclass
from medseg.evaluation.kappa import cohen_kappa
from medseg.evaluation.limits_of_agreement import limits_of_agreement

# Shrout and Fleiss 1979, table 2: six targets rated by four judges.
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Bland and Altman 1986, table 1: peak expiratory flow (l/min), first reading by a Wright and by a mini Wright meter.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
# Fleiss, Statistical Methods for Rates and Proportions (1981), table 13.1: 100 diagnoses by two raters.
FLEISS = [[75, 1, 4], [5, 4, 1], [0, 0, 10]]


def test_intraclass_correlations_are_those_of_shrout_and_fleiss():
    found = intraclass(SHROUT_FLEISS)
    assert round(found.agreement, 2) == 0.29
    assert round(found.consistency, 2) == 0.71


def test_a_bias_lowers_agreement_and_not_consistency():
    volumes = np.array([[10.0, 13.0], [20.0, 23.0], [35.0, 38.0]])
    found = intraclass(volumes)
    assert found.consistency == pytest.approx(1)
    # By hand: between cases 2 x variance of (10, 20, 35), between readers 3 x 2 x 1.5², no error.
    between, readers = 2 * np.var([10, 20, 35], ddof=1), 3 * 2 * 1.5**2
    assert found.agreement == pytest.approx(between / (between + 2 * readers / 3))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8), st.integers(2, 5))
def test_identical_readers_agree_wholly_or_have_nothing_to_agree_on(figures, readers):
    found = intraclass(np.repeat(np.array(figures)[:, None], readers, axis=1))
    if max(figures) - min(figures) > 1e-3:
        assert found == pytest.approx((1, 1))
    else:
        assert all(math.isnan(value) or value <= 1 + 1e-9 for value in found)


def test_too_little_to_correlate():
    assert all(map(math.isnan, intraclass([[1.0, 2.0]])))
    assert all(map(math.isnan, intraclass([[1.0], [2.0]])))
    assert all(map(math.isnan, intraclass([[3.0, 3.0], [3.0, 3.0]])))


def test_kappa_is_that_of_fleiss():
    assert round(cohen_kappa(FLEISS), 2) == 0.68
    assert cohen_kappa(np.array(FLEISS) / 100) == pytest.approx(cohen_kappa(FLEISS))
    assert cohen_kappa(np.transpose(FLEISS)) == pytest.approx(cohen_kappa(FLEISS))


def test_kappa_by_chance_alone_in_full_and_undefined():
    assert cohen_kappa(np.outer([3, 7], [4, 6])) == pytest.approx(0)
    assert cohen_kappa(np.diag([3, 4, 5])) == 1
    assert math.isnan(cohen_kappa([[5, 0], [0, 0]]))
    assert math.isnan(cohen_kappa(np.zeros((2, 2))))


def test_limits_of_agreement_are_those_of_bland_and_altman():
    found = limits_of_agreement(np.subtract(WRIGHT, MINI))
    assert [round(value, 1) for value in found] == [-2.1, -78.1, 73.9]
    # The paper rounds the standard deviation to 38.8 and takes 2 of them: -79.7 and 75.5.
    assert round((found.high - found.bias) / 1.96, 1) == 38.8


def test_limits_of_too_few():
    assert all(map(math.isnan, limits_of_agreement([])))
    one = limits_of_agreement([2.0])
    assert one.bias == 2
    assert math.isnan(one.low)


def test_bootstrap_of_a_statistic_is_that_of_the_mean_where_it_is_the_mean():
    values = {"a": 1.0, "b": 3.0, "c": 4.0, "d": 9.0}
    bootstrap = Bootstrap({"a": "p", "b": "p", "c": "q", "d": "r"}, 200)
    figures = np.array(list(values.values()))
    drawn = bootstrap.statistics(lambda chosen: float(figures[chosen].mean()), list(values))
    assert drawn == pytest.approx(bootstrap.means(figures[:, None], list(values))[:, 0])
    low, high = percentile_interval(drawn)
    assert 1 <= low < figures.mean() < high <= 9
    assert np.isnan(Bootstrap(dict.fromkeys(values, "p"), 5).statistics(lambda _: 1.0, list(values))).all()
