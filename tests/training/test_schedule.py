import itertools

import pytest

from medseg.training.schedule import Bounds, learning_rate


def test_whichever_ends_first_counts_and_time_alone_with_a_budget():
    assert Bounds(100, None).progress(25, elapsed=1e9) == 0.25
    bounds = Bounds(100, 50.0)
    assert bounds.progress(10, 40.0) == 0.8
    assert bounds.progress(90, 5.0) == 0.9


@pytest.mark.parametrize("shape", ["cosine", "polynomial"])
def test_learning_rate_rises_then_falls_to_nothing(shape):
    rates = [learning_rate(k / 1000, peak=2.0, warm_up=0.1, shape=shape) for k in range(1001)]
    top = rates.index(max(rates))
    assert rates[0] == 0.0
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert top == 100
    assert all(a <= b for a, b in itertools.pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in itertools.pairwise(rates[top:]))


def test_half_a_cosine():
    assert learning_rate(0.5, peak=1.0, warm_up=0.0, shape="cosine") == pytest.approx(0.5)
    assert learning_rate(0.5, peak=1.0, warm_up=0.0, shape="polynomial") == pytest.approx(0.5**0.9)
