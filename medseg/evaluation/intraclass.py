"""How far readers agree on a quantity such as a volume: intraclass correlation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Intraclass(NamedTuple):
    """Intraclass correlations of single readings; 1 is agreement, 0 or less is none, NaN undefined.

    ICC(2,1) asks whether the figures are the same, as if the readers were any readers: one who always draws more
    lowers it. ICC(3,1) asks whether these very readers rank and space the cases alike, whatever their bias.
    """

    agreement: float  # ICC(2,1): two-way random, absolute agreement
    consistency: float  # ICC(3,1): two-way mixed, consistency


def intraclass(ratings: npt.ArrayLike) -> Intraclass:
    """Intraclass correlations ICC(2,1) and ICC(3,1) of several readers' figures of the same cases.

    Parameters
    ----------
    ratings : array_like, shape (cases, readers)
        Finite figures, in one unit.

    Returns
    -------
    Intraclass
        NaN for fewer than two cases or readers, and where no figure differs from another.

    References
    ----------
    Shrout and Fleiss, Intraclass correlations: uses in assessing rater reliability, Psychological Bulletin 1979.
    """
    table = np.asarray(ratings, dtype=np.float64)
    n, k = table.shape
    if n < 2 or k < 2:
        return Intraclass(math.nan, math.nan)
    mean, of_cases, of_readers = table.mean(), table.mean(axis=1), table.mean(axis=0)
    between = k * float(((of_cases - mean) ** 2).sum()) / (n - 1)
    readers = n * float(((of_readers - mean) ** 2).sum()) / (k - 1)
    rest = table - of_cases[:, None] - of_readers[None] + mean
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    return Intraclass(
        _ratio(between - error, between + (k - 1) * error + k * (readers - error) / n),
        _ratio(between - error, between + (k - 1) * error),
    )


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else math.nan
