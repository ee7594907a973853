"""How far two readers agree on a verdict, beyond what chance gives: Cohen's kappa."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def cohen_kappa(counts: npt.ArrayLike) -> float:
    """Cohen's kappa of two readers who sorted the same cases into the same categories.

    Parameters
    ----------
    counts : array_like, shape (categories, categories)
        Cases, or their weights, by the first reader's category (rows) and the second's (columns).

    Returns
    -------
    float
        1 for agreement on every case, 0 for no more than by chance; NaN without cases, and where both readers put
        every case into one and the same category, of which chance explains everything.

    References
    ----------
    Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 1960.

    Examples
    --------
    >>> round(cohen_kappa([[45, 15], [25, 15]]), 2)
    0.13
    """
    table = np.asarray(counts, dtype=np.float64)
    total = table.sum()
    if total <= 0:
        return math.nan
    observed = float(np.trace(table)) / total
    by_chance = float(table.sum(axis=1) @ table.sum(axis=0)) / total**2
    return float((observed - by_chance) / (1 - by_chance)) if by_chance < 1 else math.nan
