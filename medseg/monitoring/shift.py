"""How far a distribution has moved from a reference: Kolmogorov-Smirnov, and the population stability index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import betabinom, kstwobign

Floats = npt.NDArray[np.float64]

BINS = 10
LEAST = 1e-3  # fraction of a bin that is empty, so that its logarithm is finite
STABLE, MOVED = 0.1, 0.25  # usual limits of the index: below the first stable, from the second on moved


def stability_index(reference: Floats, values: Floats) -> float:
    """Population stability index of values against a reference, over tenths of the reference.

    The sum over bins of (p - q) ln(p / q); below 0.1 stable, from 0.25 on moved. It grows by chance alone where there
    are few values: by about bins x (1/n + 1/m).
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    p, q = (
        np.maximum(np.bincount(np.searchsorted(edges, part, side="right"), minlength=len(edges) + 1) / len(part), LEAST)
        for part in (values, reference)
    )
    return float(((p - q) * np.log(p / q)).sum())


def distance_from_quantiles(quantiles: Sequence[float], n_reference: int, values: Floats) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of values from a distribution known by evenly spaced quantiles, and its p.

    - `n_reference`: how many cases the quantiles are of; the fewer, the less a distance says.
    """
    levels = np.linspace(0, 1, len(quantiles))
    ordered = np.sort(values)
    expected = np.interp(ordered, quantiles, levels, left=0.0, right=1.0)
    n = len(values)
    distance = float(max((np.arange(1, n + 1) / n - expected).max(), (expected - np.arange(n) / n).max()))
    return distance, float(kstwobign.sf(distance * np.sqrt(n * n_reference / (n + n_reference))))


def outside_range(low: float, high: float, n_reference: int, values: Floats) -> tuple[int, float]:
    """Number of values outside the range of a reference of n cases, and how rarely chance makes as many.

    The fraction of all cases beyond the range of n of them follows a beta distribution (2, n - 1), whatever is
    measured; so the number beyond it among others is beta-binomial (Wilks, Annals of Mathematical Statistics 12, 1941).
    """
    outside = int(np.count_nonzero((values < low) | (values > high)))
    return outside, float(betabinom.sf(outside - 1, len(values), 2, max(n_reference - 1, 1)))
