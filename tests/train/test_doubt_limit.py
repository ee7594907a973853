import numpy as np

from medseg.train.doubt_limit import LEAST_CASES, doubt_limits


def test_the_limit_is_the_99th_percentile_of_each_class():
    values = np.random.default_rng(0).uniform(0.1, 0.4, 200)
    cases = [{"liver": float(v), **({"lesion": 0.5} if n < LEAST_CASES else {})} for n, v in enumerate(values)]
    found = doubt_limits(cases)
    assert found.cases == 200
    assert (values > found.border_entropy["liver"]).sum() == 2
    assert found.border_entropy["lesion"] == 0.5


def test_few_cases_give_no_limit():
    assert doubt_limits([]) is None
    assert doubt_limits([{"liver": 0.2}] * (LEAST_CASES - 1)) is None
    some = [{"liver": 0.2}] * LEAST_CASES + [{"lesion": 0.2}]
    assert set(doubt_limits(some).border_entropy) == {"liver"}
