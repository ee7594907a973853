"""Whether a series broke the rules of its chart more than chance does: by permutation.

If nothing changed, the cases of the baseline and those since could have come in any order. So the same figures are
computed of thousands of random orders, center and spread from the first cases each time, and the true order counts as
changed where hardly any random one is as extreme. That holds whatever the distribution, for counts and verdicts too,
and with center and spread estimated from few cases; limits of 3 standard deviations alone hold for none of these.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medseg.monitoring.rules import statistics

Floats = npt.NDArray[np.float64]

# Random orders, and the p above which a series gets no more of them: what is nothing special is soon known.
STEPS = ((499, 0.05), (9_999, 0.001))
MOST = 200_000
CELLS = 4_000_000  # values in memory at once


def p_value(values: Floats, n_baseline: int, *, most: int = 9_999, seed: int = 0) -> float:
    """Fraction of random orders in which some rule is broken as unusually as in the true one.

    Each figure is ranked among those of all orders, and the rarest of a series' figures counts (Westfall and Young,
    Resampling-based multiple testing, 1993); the Kolmogorov-Smirnov distance of both parts is one of the figures.

    - `values`, shape (n,): in order, the baseline first.
    - `most`: random orders of a series that is very unusual; p is at least 1 / (most + 1).
    """
    rng = np.random.default_rng(seed)
    own = _figures(values[None], n_baseline)
    drawn: list[Floats] = []
    p, count = 0.0, 0
    for steps, enough in (*STEPS, (most, 0.0)):
        if steps > count:
            drawn.append(_random(values, n_baseline, steps - count, rng))
            p, count = _rarest(own, np.concatenate(drawn)), steps
        if p > enough:
            break
    return p


def orders_needed(n_charts: int, false_alarms: float) -> int:
    """Random orders by which one of so many charts can be called changed at this probability of false alarms."""
    return min(MOST, max(STEPS[-1][0], int(4 * n_charts / false_alarms)))


def standardized(values: Floats, n_baseline: int) -> Floats:
    """Values after the baseline in its standard deviations from its mean, shape (..., n - n_baseline)."""
    baseline, since = values[..., :n_baseline], values[..., n_baseline:]
    center = baseline.mean(axis=-1, keepdims=True)
    spread = baseline.std(axis=-1, ddof=1, keepdims=True)
    whole = values.std(axis=-1, keepdims=True)  # where all of a baseline is equal, what follows may still differ
    spread = np.where(spread > 1e-9 * np.maximum(whole, 1e-300), spread, np.maximum(whole, 1e-300))
    return np.asarray((since - center) / spread)


def _random(values: Floats, n_baseline: int, count: int, rng: np.random.Generator) -> Floats:
    rows = max(1, CELLS // len(values))
    parts = []
    for start in range(0, count, rows):
        parts.append(_figures(rng.permuted(np.tile(values, (min(rows, count - start), 1)), axis=1), n_baseline))
    return np.concatenate(parts)


def _figures(series: Floats, n_baseline: int) -> Floats:
    """Figures of each series, shape (series, 6)."""
    return np.column_stack([statistics(standardized(series, n_baseline)), _distances(series, n_baseline)])


def _distances(series: Floats, n_baseline: int) -> Floats:
    """Kolmogorov-Smirnov distance between the baseline of each series and what follows."""
    n = series.shape[-1]
    steps = np.where(np.arange(n) < n_baseline, 1 / n_baseline, -1 / (n - n_baseline))
    by_size = np.argsort(series, axis=-1, kind="stable")
    height = np.abs(np.cumsum(steps[by_size], axis=-1))
    ordered = np.take_along_axis(series, by_size, axis=-1)
    ends = np.ones(series.shape, bool)  # between equal values the distributions take no step
    ends[..., :-1] = ordered[..., 1:] > ordered[..., :-1]
    return np.asarray(np.where(ends, height, 0.0).max(axis=-1))


def _rarest(own: Floats, drawn: Floats) -> float:
    every = np.concatenate([own, drawn])
    # Fraction of all orders, the true one included, whose figure is at least as large.
    ordered = np.sort(every, axis=0)
    smaller = [np.searchsorted(column, own_, side="left") for column, own_ in zip(ordered.T, every.T, strict=True)]
    p = 1 - np.stack(smaller, axis=1) / len(every)
    rarest = np.round(p.min(axis=1), 12)
    return float((rarest <= rarest[0]).mean())
