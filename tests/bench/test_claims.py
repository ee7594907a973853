import math
import re

import numpy as np
import pytest

from medseg.bench.architectures import ArchitectureResult
from medseg.bench.architectures_config import Claim
from medseg.bench.claims import mean_over_cases, per_case, weigh


def _result(name, values, **more):
    return ArchitectureResult(name, dice={"c": {f"case{i}": v for i, v in enumerate(values)}}, boundary_f1={}, **more)


def _outcome(better, worse, metric="dice"):
    claim = Claim(statement="it is", better="b", worse="w", metric=metric)
    return weigh(claim, {result.name: result for result in (better, worse) if result})


def test_a_difference_in_every_case_decides():
    b, w = _result("b", [0.9, 0.8, 0.85, 0.7]), _result("w", [0.8, 0.7, 0.75, 0.65])
    assert _outcome(b, w).verdict == "holds"
    assert re.fullmatch(r"\+0\.08[78] dice, 95% interval \+0\.\d+ to \+0\.\d+, 4 cases", _outcome(b, w).measured)
    swapped = _outcome(_result("b", [0.8, 0.7, 0.75, 0.65]), _result("w", [0.9, 0.8, 0.85, 0.7]))
    assert swapped.verdict == "contradicted"


def test_a_difference_now_up_now_down_does_not():
    assert _outcome(_result("b", [0.9, 0.7, 0.8]), _result("w", [0.8, 0.8, 0.8])).verdict == "uncertain"


@pytest.mark.parametrize(("seconds", "verdict"), [(2.0, "holds"), (1.05, "uncertain"), (0.5, "contradicted")])
def test_costs_are_compared_by_their_ratio(seconds, verdict):
    outcome = _outcome(_result("b", [1.0], seconds=1.0), _result("w", [1.0], seconds=seconds), "seconds")
    assert outcome.verdict == verdict
    assert f"takes {seconds:.3g} times the seconds" in outcome.measured


def test_an_architecture_without_result_is_not_tested():
    assert _outcome(_result("b", [1.0]), None).verdict == "not tested"
    assert _outcome(_result("b", [1.0]), ArchitectureResult("w", "out of memory")).measured == "w has no result"


def test_per_case_is_the_mean_over_classes_that_have_a_value():
    figures = {"a": {"x": 0.5, "y": math.nan}, "b": {"x": 0.7, "y": 0.3}, "c": {"x": math.nan}}
    assert per_case(figures) == {"x": pytest.approx(0.6), "y": pytest.approx(0.3)}


def test_a_mean_over_cases_has_the_interval_that_resampled_cases_give():
    values = {f"case{n}": value for n, value in enumerate(np.random.default_rng(0).normal(0.8, 0.05, 60))}
    mean, low, high = mean_over_cases({**values, "empty": math.nan})
    assert mean == pytest.approx(np.mean(list(values.values())))
    error = np.std(list(values.values())) / 60**0.5
    assert (mean - low, high - mean) == (pytest.approx(1.96 * error, rel=0.15), pytest.approx(1.96 * error, rel=0.15))
    one = mean_over_cases({"case": 0.7})
    assert one[0] == pytest.approx(0.7)
    assert math.isnan(one[1])
    assert all(math.isnan(value) for value in mean_over_cases({"case": math.nan}))
