import numpy as np
import pytest

from medseg.training.selection.uncertainty_limit import LEAST_CASES, MARGIN, uncertainty_limits


def test_the_limit_is_a_little_more_than_the_99th_percentile_of_each_class():
    values = np.random.default_rng(0).uniform(0.1, 0.4, 200)
    cases = [{"liver": float(v), **({"lesion": 0.5} if n < LEAST_CASES else {})} for n, v in enumerate(values)]
    found = uncertainty_limits(cases)
    assert found.cases == 200
    assert found.boundary_entropy["liver"] == pytest.approx(np.percentile(values, 99) + MARGIN, abs=1e-4)
    assert found.boundary_entropy["lesion"] == 0.55


def test_of_other_cases_of_the_same_kind_few_are_beyond_the_limit():
    random = np.random.default_rng(0)
    beyond = []
    for _ in range(200):
        known, others = random.normal(0.3, 0.02, (2, LEAST_CASES))
        limit = uncertainty_limits([{"liver": float(v)} for v in known]).boundary_entropy["liver"]
        beyond.append((others > limit).mean())
    assert np.mean(beyond) < 0.005


def test_no_limit_is_beyond_what_entropy_can_be():
    cases = [{"liver": 0.2 if n > 1 else 0.99} for n in range(LEAST_CASES)]
    assert uncertainty_limits(cases).boundary_entropy["liver"] == 1


def test_few_cases_give_no_limit():
    assert uncertainty_limits([]) is None
    assert uncertainty_limits([{"liver": 0.2}] * (LEAST_CASES - 1)) is None
    cases = [{"liver": 0.2}] * LEAST_CASES + [{"lesion": 0.2}]
    assert set(uncertainty_limits(cases).boundary_entropy) == {"liver"}
