"""Tests the claims of a comparison of architectures against its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medseg.bench.architectures import ArchitectureResult, Figures
from medseg.bench.architectures_config import Claim
from medseg.counted import counted
from medseg.evaluation.aggregate import Bootstrap, percentile_interval

RESAMPLES = 2000
# A ratio of costs nearer to 1 than this decides nothing.
CLEAR = 1.1


@dataclass(frozen=True)
class Outcome:
    """Verdict on a claim, and the figures in words.

    Dice and boundary F1 decide where the interval of the mean difference over cases excludes 0.
    """

    claim: Claim
    verdict: Literal["holds", "contradicted", "uncertain", "not tested"]
    measured: str


def weigh(claim: Claim, results: Mapping[str, ArchitectureResult]) -> Outcome:
    """Compare the two architectures of a claim, case by case."""
    better, worse = results.get(claim.better), results.get(claim.worse)
    for name, result in ((claim.better, better), (claim.worse, worse)):
        if result is None or result.failure:
            return Outcome(claim, "not tested", f"{name} has no result")
    assert better is not None
    assert worse is not None
    if claim.metric in ("seconds", "parameters"):
        ratio = float(getattr(worse, claim.metric)) / float(getattr(better, claim.metric))
        verdict: Literal["holds", "contradicted", "uncertain"] = (
            "holds" if ratio > CLEAR else "contradicted" if ratio < 1 / CLEAR else "uncertain"
        )
        return Outcome(claim, verdict, f"{claim.worse} takes {ratio:.3g} times the {claim.metric} of {claim.better}")
    more, less = per_case(getattr(better, claim.metric)), per_case(getattr(worse, claim.metric))
    cases = sorted(set(more) & set(less))
    mean, low, high = mean_over_cases({case: more[case] - less[case] for case in cases})
    decided = "holds" if low > 0 else "contradicted" if high < 0 else "uncertain"
    interval = f", 95% interval {low:+.3f} to {high:+.3f}" if math.isfinite(low) else ""
    return Outcome(claim, decided, f"{mean:+.3f} {claim.metric}{interval}, {counted(len(cases), 'case')}")  # type: ignore[arg-type]


def mean_over_cases(values: Mapping[str, float]) -> tuple[float, float, float]:
    """Mean over cases, NaN skipped, and its 95% bootstrap interval; all NaN without a value."""
    if not any(math.isfinite(value) for value in values.values()):
        return math.nan, math.nan, math.nan
    column = np.array([[value] for value in values.values()])
    draws = Bootstrap({case: case for case in values}, RESAMPLES).means(column, list(values))
    return float(np.nanmean(column)), *percentile_interval(draws[:, 0])


def per_case(figures: Figures) -> dict[str, float]:
    """Mean over classes of each case, NaN skipped."""
    cases = sorted({case for of_class in figures.values() for case in of_class})
    result: dict[str, float] = {}
    for case in cases:
        values = [of_class[case] for of_class in figures.values() if math.isfinite(of_class.get(case, math.nan))]
        result[case] = float(np.mean(values)) if values else math.nan
    return result
