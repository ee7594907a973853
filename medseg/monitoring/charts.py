"""Control charts of what the history says of each case, and whether each is still as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.monitoring.history import CaseRecord
from medseg.monitoring.permutation import orders_needed, p_value, standardized
from medseg.monitoring.rules import EWMA_LIMIT, RULES, broken_at, ewma
from medseg.monitoring.shift import BINS, stability_index

Floats = npt.NDArray[np.float64]

LEAST_BASELINE, LEAST_SINCE = 20, 10  # cases, below which nothing can be said of a figure
# Figures whose errors and differences are fractions of them, by the end of their name; zeros have no logarithm.
LOGARITHMIC = ("volume_ml", "area_mm2", "seconds")


@dataclass(frozen=True, eq=False)
class ControlChart:
    """One figure, case by case in order.

    - `numbers`, shape (n,): of the cases in the history; `values`: as they are.
    - `z`, shape (n - n_baseline,): those after the baseline, in its standard deviations from its center.
    - `center`, `spread`: of the baseline; of logarithms where `is_log`.
    - `broken`: by rule, at which of the values after the baseline it is broken; rule 0 is the moving average.
    - `p`: how rarely a random order of the same values breaks the rules as unusually.
    - `since`: number of the first case after which the figure is most unlike before.
    """

    name: str
    numbers: tuple[int, ...]
    values: Floats
    n_baseline: int
    is_log: bool
    center: float
    spread: float
    z: Floats
    average: Floats
    broken: Mapping[int, npt.NDArray[np.bool_]]
    p: float
    psi: float
    since: int
    is_changed: bool = False

    @property
    def n_signals(self) -> dict[int, int]:
        """How often each rule is broken."""
        return {rule: int(hits.sum()) for rule, hits in self.broken.items()}

    @property
    def psi_by_chance(self) -> float:
        """Stability index to be expected of this many cases where nothing changed."""
        return (BINS - 1) * (1 / self.n_baseline + 1 / (len(self.values) - self.n_baseline))

    @property
    def medians(self) -> tuple[float, float]:
        """Median of the baseline, and of the cases since the change."""
        later = self.values[[number >= self.since for number in self.numbers]]
        return float(np.median(self.values[: self.n_baseline])), float(np.median(later))


def series_of(records: Sequence[CaseRecord]) -> dict[str, dict[int, float]]:
    """Return every figure by name, with its value by the number of the case: figures, and 0 or 1 for what happened."""
    found: dict[str, dict[int, float]] = {}
    for number, one in enumerate(records, start=1):
        for name, value in one.figures.items():
            found.setdefault(name, {})[number] = value
        found.setdefault("withheld or failed", {})[number] = float(one.state != "done")
        if one.verdict:
            found.setdefault("rejected in the review", {})[number] = float(one.verdict == "rejected")
            found.setdefault("corrected in the review", {})[number] = float(one.verdict == "corrected")
    return found


def has_chart(series: Mapping[int, float], n_baseline: int) -> bool:
    """Whether enough cases have a figure, and not all the same.

    - `n_baseline`: number of cases of the history that are the baseline.
    """
    n = sum(number <= n_baseline for number in series)
    return n >= LEAST_BASELINE and len(series) - n >= LEAST_SINCE and len(set(series.values())) > 1


def control_chart(name: str, series: Mapping[int, float], n_baseline: int, most: int) -> ControlChart:
    """Make the chart of a figure; `most` random orders are tried where it is very unusual."""
    numbers = tuple(sorted(series))
    values = np.array([series[number] for number in numbers])
    n = sum(number <= n_baseline for number in numbers)
    is_log = name.endswith(LOGARITHMIC) and bool((values > 0).all())
    measured = np.log(values) if is_log else values
    z = standardized(measured, n)
    average = ewma(z)
    return ControlChart(
        name,
        numbers,
        values,
        n,
        is_log,
        float(measured[:n].mean()),
        float(measured[:n].std(ddof=1)),
        z,
        average,
        {0: np.abs(average) > EWMA_LIMIT, **{rule: broken_at(z, rule) for rule in RULES}},
        p_value(measured, n, most=most),
        stability_index(measured[:n], measured[n:]),
        numbers[_changed_at(measured, n)],
    )


def _changed_at(values: Floats, n_baseline: int) -> int:
    """Place from which on the mean differs most from that before, for its size (Hinkley, Biometrika 57, 1970)."""
    n = len(values)
    places = np.arange(n_baseline, n)
    before = np.cumsum(values)[places - 1] / places
    after = (values.sum() - np.cumsum(values)[places - 1]) / (n - places)
    return int(places[np.argmax(np.abs(after - before) * np.sqrt(places * (n - places) / n))])


def holm(named: Iterable[tuple[str, float]], alpha: float) -> set[str]:
    """Names whose p is small enough among all of them that one is wrongly so with probability `alpha` at most."""
    ordered = sorted(named, key=lambda item: item[1])
    rejected: set[str] = set()
    for position, (name, p) in enumerate(ordered):
        if p * (len(ordered) - position) > alpha:
            break
        rejected.add(name)
    return rejected


def all_charts(records: Sequence[CaseRecord], n_baseline: int, false_alarms: float) -> list[ControlChart]:
    """Make the chart of every figure that can have one."""
    known = {name: series for name, series in series_of(records).items() if has_chart(series, n_baseline)}
    most = orders_needed(len(known), false_alarms)
    return [control_chart(name, series, n_baseline, most) for name, series in known.items()]
