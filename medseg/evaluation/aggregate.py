"""Condenses figures of many cases: mean, median, worst cases, and how sure one can be of the mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medseg.evaluation.metrics.definitions import metric

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bootstrap:
    """Draws patients with replacement, each with all their cases, since those of one are not independent.

    `patients` says whose each case is, `n` how often is drawn, `seed` from where.
    """

    patients: Mapping[str, str]
    n: int = 2000
    seed: int = 0

    def means(self, matrix: Floats, cases: Sequence[str]) -> Floats:
        """Means of the columns of a matrix (cases, columns) for each draw, shape (n, columns); NaN takes no part.

        NaN where a draw has no value, and everywhere for fewer than two patients.
        """
        owner = [self.patients[case] for case in cases]
        owners = sorted(set(owner))
        if len(owners) < 2:
            return np.full((self.n, matrix.shape[1]), np.nan)
        belongs = np.zeros((len(owners), len(cases)))
        belongs[[owners.index(patient) for patient in owner], np.arange(len(cases))] = 1
        present = np.isfinite(matrix)
        sums = belongs @ np.where(present, matrix, 0)
        counts = belongs @ present.astype(np.float64)
        weights = self.weights(len(owners))
        drawn = weights @ counts
        means: Floats = np.divide(weights @ sums, drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0)
        return means

    def statistics(self, statistic: Callable[[npt.NDArray[np.intp]], float], cases: Sequence[str]) -> Floats:
        """Values of a statistic for each draw, shape (n,).

        `statistic` is called with the positions, in `cases`, of the cases drawn; those of a patient drawn twice come
        twice. NaN everywhere for fewer than two patients.
        """
        owner = np.array([self.patients[case] for case in cases], dtype=object)
        owners = sorted(set(owner))
        if len(owners) < 2:
            return np.full(self.n, np.nan)
        member = np.array([owners.index(patient) for patient in owner])
        positions = np.arange(len(cases))
        drawn = self.weights(len(owners)).astype(np.intp)
        return np.array([statistic(np.repeat(positions, times[member])) for times in drawn])

    def weights(self, patients: int) -> Floats:
        """How often each patient is drawn in each resample, shape (n, patients)."""
        draws = np.random.default_rng(self.seed).multinomial(patients, np.full(patients, 1 / patients), size=self.n)
        return draws.astype(np.float64)


@dataclass(frozen=True)
class Aggregate:
    """One metric of one class over cases.

    Parameters
    ----------
    mean, median, std : float
        Of the finite values; infinite ones take part only where a penalty stands in for them. NaN without any.
    interval : tuple of float
        95% confidence interval of the mean, by bootstrap over patients; NaN for fewer than two patients.
    cases : int
        Finite values, penalties included.
    undefined, infinite : int
        NaN and infinite values; with a penalty, the infinite ones are among `cases`.
    worst : tuple of (str, float)
        Cases and values, worst first; infinite ones included, NaN not. Empty for metrics that know no better or worse.
    """

    mean: float
    median: float
    std: float
    interval: tuple[float, float]
    cases: int
    undefined: int
    infinite: int
    worst: tuple[tuple[str, float], ...] = ()


def aggregate(
    values: Mapping[tuple[str, str], Mapping[str, float]],
    bootstrap: Bootstrap,
    *,
    penalty: float | None = None,
    worst: int = 5,
) -> dict[tuple[str, str], Aggregate]:
    """Aggregate every metric of every class over cases; `values` are by class and metric, then by case.

    `penalty` stands in for infinite distances; the `worst` worst cases are listed.
    """
    cases = sorted({case for figures in values.values() for case in figures})
    matrix = np.full((len(cases), len(values)), np.nan)
    position = {case: row for row, case in enumerate(cases)}
    for column, figures in enumerate(values.values()):
        for case, value in figures.items():
            matrix[position[case], column] = value
    raw = matrix.copy()
    if penalty is not None:
        distances = [metric(name).family == "surface" and metric(name).better == "lower" for _, name in values]
        matrix[np.isinf(matrix) & np.array(distances)] = penalty
    matrix[np.isinf(matrix)] = np.nan
    means = bootstrap.means(matrix, cases)
    result: dict[tuple[str, str], Aggregate] = {}
    for column, (key, figures) in enumerate(values.items()):
        finite = matrix[:, column][np.isfinite(matrix[:, column])]
        given = raw[[position[case] for case in figures], column]
        result[key] = Aggregate(
            mean=float(finite.mean()) if len(finite) else float("nan"),
            median=float(np.median(finite)) if len(finite) else float("nan"),
            std=float(finite.std(ddof=1)) if len(finite) > 1 else float("nan"),
            interval=percentile_interval(means[:, column]),
            cases=len(finite),
            undefined=int(np.isnan(given).sum()),
            infinite=int(np.isinf(given).sum()),
            worst=_worst(figures, key[1], worst),
        )
    return result


def percentile_interval(draws: Floats) -> tuple[float, float]:
    """Middle 95% of some draws, NaN skipped."""
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return float("nan"), float("nan")
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def badness(name: str, value: float) -> float:
    """A number that grows as a value of a metric gets worse."""
    better = metric(name).better
    return {"higher": -value, "lower": value, "zero": abs(value), "neither": 0.0}[better]


def _worst(figures: Mapping[str, float], name: str, count: int) -> tuple[tuple[str, float], ...]:
    if metric(name).better == "neither":
        return ()
    ranked = sorted((-badness(name, value), case) for case, value in figures.items() if not np.isnan(value))
    return tuple((case, figures[case]) for _, case in ranked[:count])
