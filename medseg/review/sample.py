"""A random sample of cases, whose error rate is unbiased: a worklist by priority shows the worst cases first."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from medseg.counted import counted
from medseg.errors import UsageError
from medseg.review.review_case import ReviewCase
from medseg.review.store import Store

SAMPLED = "sampled"  # kind of the event
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """Cases drawn at random, in the order they were drawn in."""

    case_ids: tuple[str, ...]
    population: int  # cases with labels at that time
    seed: int
    n: int  # number of the event


@dataclass(frozen=True)
class ErrorRate:
    """How many of a sample's cases were wrong: rejected, or accepted with other labels than the model makes now."""

    size: int
    population: int
    judged: int
    wrong: int
    rate: float | None  # None before the first verdict
    interval: tuple[float, float] | None  # exact 95% interval (Clopper and Pearson, Biometrika 1934)

    @property
    def is_complete(self) -> bool:
        """Whether every case is judged; before, the rate is of those that somebody chose to judge first."""
        return self.judged == self.size


def newest_sample(store: Store) -> Sample | None:
    """Return the sample drawn last; None where none was."""
    drawn = [event for event in store.events("") if event.kind == SAMPLED]
    if not drawn:
        return None
    body = drawn[-1].body
    return Sample(tuple(body["case_ids"]), body["population"], body["seed"], drawn[-1].n)


def draw_sample(store: Store, size: int, who: str, *, seed: int | None = None) -> Sample:
    """Draw cases at random and record which; a sample of this size that was drawn before is resumed.

    Raises
    ------
    UsageError
        When there are fewer cases.
    """
    before = newest_sample(store)
    if before is not None and len(before.case_ids) == size:
        return before
    cases = sorted(store.results.cases())
    if not 1 <= size <= len(cases):
        raise UsageError(
            f"a sample of {size} cannot be drawn of {counted(len(cases), 'case')}",
            where=f"--sample {size}",
            fix=f"Use 1 to {len(cases)}.",
        )
    seed = secrets.randbelow(2**32) if seed is None else seed
    drawn = Random(seed).sample(cases, size)  # noqa: S311 (recorded, so that the draw can be repeated)
    event = store.record(who, SAMPLED, {"case_ids": drawn, "population": len(cases), "seed": seed})
    return Sample(tuple(drawn), len(cases), seed, event.n)


def error_rate(sample: Sample, cases: Mapping[str, ReviewCase]) -> ErrorRate:
    """Return the error rate of a sample as it was judged so far."""
    from scipy.stats import binomtest

    judged = [cases[case_id] for case_id in sample.case_ids if case_id in cases and cases[case_id].is_judged]
    wrong = sum(case.state == "rejected" or case.is_accepted_corrected for case in judged)
    rate, interval = None, None
    if judged:
        found = binomtest(wrong, len(judged)).proportion_ci(CONFIDENCE, method="exact")
        rate, interval = wrong / len(judged), (float(found.low), float(found.high))
    return ErrorRate(len(sample.case_ids), sample.population, len(judged), wrong, rate, interval)
