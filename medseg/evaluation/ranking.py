"""Ranks evaluations by a metric, and asks by bootstrap how far the ranking depends on the cases drawn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau, rankdata

from medseg.evaluation.aggregate import Bootstrap, badness
from medseg.evaluation.summary import Values


@dataclass(frozen=True, repr=False)
class Ranking:
    """Evaluations ranked by one metric."""

    metric: str  # its mean over the patients, averaged over the classes, decides
    ranks: dict[str, float]  # 1 is best; ties share the mean of their ranks
    frequencies: dict[str, list[float]]  # fraction of the resamples in which each evaluation came first, second, ...
    kendall_tau: float  # mean rank correlation of the resamples with the ranking; 1 where it never changes

    def __repr__(self) -> str:
        return f"Ranking('{self.metric}', {len(self.ranks)} evaluations)"

    @property
    def sentence(self) -> str:
        """The ranking in words."""
        order = sorted(self.ranks, key=lambda name: self.ranks[name])
        places = [list(tied) for _, tied in itertools.groupby(order, key=lambda name: self.ranks[name])]
        if len(places) == 1:
            return f"By {self.metric} the evaluations are equal."
        first = 100 * self.frequencies[order[0]][0]
        tau = f" (mean Kendall's tau {self.kendall_tau:.2f})" if math.isfinite(self.kendall_tau) else ""
        return (
            f"By {self.metric} the order is {', '.join(' = '.join(tied) for tied in places)}; "
            f"{' and '.join(places[0])} came first in {first:.0f}% of bootstrap resamples{tau}."
        )


def rank(
    values: Mapping[str, Values],
    metric: str,
    classes: Sequence[str],
    cases: Sequence[str],
    bootstrap: Bootstrap,
) -> Ranking:
    """Rank evaluations on the cases they share.

    Cases that are NaN in any of them are skipped for all, class by class; infinite distances count as the largest
    finite one of that class, so that missing an object is not rewarded.

    References
    ----------
    Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing challenge results, Scientific
    Reports 2021.
    """
    names = list(values)
    table = np.full((len(cases), len(names) * len(classes)), np.nan)
    for c, class_name in enumerate(classes):
        block = np.array([[values[n][class_name, metric].get(case, np.nan) for n in names] for case in cases])
        block[np.isnan(block).any(axis=1)] = np.nan
        largest = np.abs(block[np.isfinite(block)]).max(initial=0.0)
        block = np.where(np.isinf(block), np.sign(block) * largest, block)
        table[:, c * len(names) : (c + 1) * len(names)] = block
    whole = _ranks(_mean(table, 0)[None], len(names), metric)[0]
    draws = _ranks(bootstrap.means(table, cases), len(names), metric)
    places = np.floor(draws)
    frequencies = {
        name: [float((places[:, i] == place).mean()) for place in range(1, len(names) + 1)]
        for i, name in enumerate(names)
    }
    # A handful of orders come up again and again; each is correlated once.
    distinct, times = np.unique(draws[np.isfinite(draws).all(axis=1)], axis=0, return_counts=True)
    taus = np.array([kendalltau(whole, draw).statistic for draw in distinct])
    known = np.isfinite(taus)
    return Ranking(
        metric,
        dict(zip(names, map(float, whole), strict=True)),
        frequencies,
        float(np.average(taus[known], weights=times[known])) if known.any() else float("nan"),
    )


def _ranks(means: npt.NDArray[np.float64], evaluations: int, metric: str) -> npt.NDArray[np.float64]:
    """Rank of each evaluation for each row of means, ordered class by class."""
    over_classes = _mean(means.reshape(len(means), -1, evaluations), 1)
    bad = np.vectorize(lambda value: badness(metric, value))(over_classes)
    ranks: npt.NDArray[np.float64] = rankdata(bad, axis=1, nan_policy="omit")
    return ranks


def _mean(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Mean without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    means: npt.NDArray[np.float64] = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return means
