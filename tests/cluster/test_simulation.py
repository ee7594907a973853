"""The simulation of a cluster runs on the table of leases that real runs use, and gives the same figures every time."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from simulate_cluster import Setting, Simulation

SMALL = Setting(cases=400, machines=5, workers=2, poison=3, hours_between_failures=0.2, repair=60)


def test_every_case_is_computed_or_blamed_and_the_seed_decides():
    one, same, other = (Simulation(setting).run() for setting in (SMALL, SMALL, replace(SMALL, seed=1)))
    assert one == same
    assert one != other
    assert one.blamed == SMALL.poison
    assert one.failures > 0
    assert one.retries >= 3 * SMALL.poison


def test_without_variation_and_failures_the_time_is_what_arithmetic_says():
    plain = replace(
        SMALL,
        poison=0,
        hours_between_failures=1e9,
        variation=0.0,
        machine_variation=0.0,
        storage=1e9,
        message=0.0,
        start=0.0,
    )
    found = Simulation(plain).run()
    assert found.hours * 3600 == pytest.approx(400 / 10 * 6.3)
    assert found.computed == pytest.approx(400 * 6.3)


def test_slow_storage_decides_where_it_is_slower_than_computing():
    slow = replace(SMALL, poison=0, hours_between_failures=1e9, megabytes=100, storage=10)
    assert Simulation(slow).run().hours * 3600 >= 400 * 100 / 10


def test_fixed_shards_wait_for_the_slowest():
    uneven = replace(SMALL, poison=0, hours_between_failures=1e9, machine_variation=0.3)
    leased, fixed = (Simulation(replace(uneven, leased=leased)).run().hours for leased in (True, False))
    assert fixed > 1.1 * leased
