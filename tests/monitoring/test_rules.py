"""Rules of control charts against their definitions, one value after another, and permutation against exact tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom, ks_2samp

from medseg.monitoring.permutation import _distances, orders_needed, p_value, standardized
from medseg.monitoring.rules import RUNS, broken_at, ewma, statistics
from medseg.monitoring.shift import distance_from_quantiles, outside_range, stability_index


@pytest.mark.parametrize("rule", [1, 2, 3, 4])
def test_each_rule_is_broken_where_it_says(rule):
    count, window, limit = RUNS[rule]
    z = np.random.default_rng(rule).normal(0, 1.7, 300)
    for place in range(len(z)):
        last = z[max(0, place - window + 1) : place + 1]
        expected = max((last > limit).sum(), (last < -limit).sum()) >= count
        assert broken_at(z, rule)[place] == expected


def test_the_moving_average_is_robertss():
    z = np.random.default_rng(0).normal(size=50)
    average = 0.0
    for place, value in enumerate(z):
        average = 0.2 * value + 0.8 * average
        spread = np.sqrt(0.2 / 1.8 * (1 - 0.8 ** (2 * (place + 1))))
        assert ewma(z)[place] == pytest.approx(average / spread)


def test_many_series_at_once_are_as_one_by_one():
    z = np.random.default_rng(0).normal(size=(7, 40))
    assert np.allclose(statistics(z), np.concatenate([statistics(one[None]) for one in z]))


def test_the_distance_is_scipys():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=60), rng.poisson(1.0, 60).astype(float)):
        assert _distances(values[None], 25)[0] == pytest.approx(ks_2samp(values[:25], values[25:]).statistic)


def test_a_constant_baseline_that_ends_is_seen():
    values = np.array([1.0] * 30 + [1.0] * 10 + [2.0] * 20)
    assert np.isfinite(standardized(values, 30)).all()
    assert p_value(values, 30) < 0.001


def test_p_is_uniform_where_nothing_changed():
    rng = np.random.default_rng(0)
    p = []
    for seed in range(60):
        for values in (rng.normal(size=60), rng.lognormal(size=60), (rng.random(60) < 0.1).astype(float)):
            p.append(p_value(values, 30, most=499, seed=seed))
    # Binomial, 180 tries: more than 18 of them at most 0.05 by chance with a probability of 0.001.
    assert (np.array(p) <= 0.05).sum() <= 18
    assert (np.array(p) <= 0.5).mean() <= 0.65


def test_a_shift_of_two_standard_deviations_is_found():
    values = np.random.default_rng(1).normal(size=100)
    values[80:] += 2.0
    assert p_value(values, 50) <= 0.001


def test_enough_orders_are_tried_for_many_charts():
    assert orders_needed(10, 0.01) == 9_999
    assert orders_needed(300, 0.01) == 120_000


def test_the_stability_index_is_the_sum_it_is_defined_as():
    reference, values = np.arange(100.0), np.arange(100.0) * 0.49
    p, q = np.array([0.2] * 5 + [1e-3] * 5), np.full(10, 0.1)
    assert stability_index(reference, values) == pytest.approx(((p - q) * np.log(p / q)).sum(), abs=0.05)
    assert stability_index(reference, reference) == pytest.approx(0.0)


def test_what_lies_outside_a_range_is_beta_binomial():
    outside, p = outside_range(0.0, 1.0, 50, np.array([0.5] * 17 + [1.5] * 3))
    assert outside == 3
    simulated = np.random.default_rng(0)
    fractions = 1 - simulated.beta(49, 2, 200_000)
    assert p == pytest.approx((simulated.binomial(20, fractions) >= 3).mean(), abs=0.005)
    assert p == pytest.approx(betabinom.sf(2, 20, 2, 49))


def test_distance_from_quantiles_is_that_from_the_distribution():
    values = np.random.default_rng(0).random(200)
    distance, p = distance_from_quantiles(np.linspace(0, 1, 21).tolist(), 1000, values)
    assert distance < 0.1
    assert p > 0.05
    far, small = distance_from_quantiles(np.linspace(0, 1, 21).tolist(), 1000, values**2)
    assert far > 0.15
    assert small < 0.001
