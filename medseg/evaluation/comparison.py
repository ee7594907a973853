"""What comparing evaluations finds, in figures and in the words of a paper."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from medseg.evaluation.metrics.definitions import metric
from medseg.evaluation.ranking import Ranking

LEVEL = 0.05
# With fewer pairs no two-sided Wilcoxon test can reach the level, whatever the figures.
FEWEST = 6


@dataclass(frozen=True, repr=False)
class Difference:
    """Two evaluations compared on one metric of one class, case by case; differences are second minus first.

    Means are over cases where both are finite, with a 95% bootstrap interval over patients; `p` is of a two-sided
    Wilcoxon signed-rank test, `p_holm` the same after Holm's correction over all tests of the comparison. Fewer than
    six pairs have neither interval nor test: NaN.
    """

    first: str
    second: str
    class_name: str
    metric: str
    mean_first: float
    mean_second: float
    mean: float
    median: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    cases: int  # pairs tested: all where neither is NaN, infinite distances included as the largest
    infinite: int  # of these, pairs with an infinite value
    skipped: int  # cases without a pair, or with NaN in it

    def __repr__(self) -> str:
        what = f"'{self.first}', '{self.second}', {self.metric} of '{self.class_name}'"
        return f"Difference({what}, mean={self.mean:.4g}, p_holm={self.p_holm:.3g}, cases={self.cases})"

    @property
    def sentence(self) -> str:
        """The difference as a paper would print it."""
        known = metric(self.metric)
        unit = f" {known.unit}" if known.unit else ""
        digits = 2 if known.unit else 3
        what = f"{known.title} of {self.class_name}"
        head = (
            f"On {self.cases} paired cases, {self.second} had a mean {what} of {self.mean_second:.{digits}f}{unit} "
            f"against {self.mean_first:.{digits}f}{unit} of {self.first}"
        )
        if self.cases == 0:
            return f"{self.second} and {self.first} have no {what} to compare."
        low, high = self.interval
        interval = f", 95% CI {low:+.{digits}f} to {high:+.{digits}f}" if math.isfinite(low) else ""
        pairs = (
            "1 pair with an infinite value is"
            if self.infinite == 1
            else f"{self.infinite} pairs with an infinite value are"
        )
        away = f"; {pairs} in the test and not in the means" if self.infinite else ""
        if self.cases < FEWEST:
            return (
                f"{head} (mean paired difference {self.mean:+.{digits}f}{unit}); fewer than {FEWEST} cases say nothing "
                "about which is better."
            )
        return (
            f"{head} (mean paired difference {self.mean:+.{digits}f}{unit}{interval}; Wilcoxon signed-rank test, "
            f"{_p_value(self.p_holm)} after Holm's correction{away}); {self._verdict()}."
        )

    def _verdict(self) -> str:
        if math.isnan(self.p_holm) or self.p_holm >= LEVEL:
            return f"the difference is not significant at the {LEVEL:g} level"
        better = metric(self.metric).better
        if better == "neither":
            return "the difference is significant"
        closer = {"higher": self.mean > 0, "lower": self.mean < 0, "zero": abs(self.mean_second) < abs(self.mean_first)}
        return f"{self.second if closer[better] else self.first} is significantly better"


@dataclass(frozen=True, repr=False)
class Comparison:
    """Several evaluations compared: every pair of them, on every metric and class."""

    names: tuple[str, ...]
    differences: tuple[Difference, ...]
    rankings: tuple[Ranking, ...]
    unpaired: dict[str, tuple[str, ...]]  # cases each evaluation has and not all others do

    def __repr__(self) -> str:
        return f"Comparison({len(self.names)} evaluations, {self.tests} tests)"

    @property
    def tests(self) -> int:
        """Number of tests that were made and corrected together."""
        return sum(not math.isnan(d.p) for d in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "names": list(self.names),
            "tests": self.tests,
            "differences": [asdict(d) | {"sentence": d.sentence} for d in self.differences],
            "rankings": [asdict(r) | {"sentence": r.sentence} for r in self.rankings],
            "unpaired": self.unpaired,
        }


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
