"""How far two readers' figures lie apart: bias, and the limits that hold 95% of the differences."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class LimitsOfAgreement(NamedTuple):
    """Mean difference, and the limits of agreement 1.96 standard deviations below and above it."""

    bias: float
    low: float
    high: float


def limits_of_agreement(differences: npt.ArrayLike) -> LimitsOfAgreement:
    """Bias and 95% limits of agreement of paired differences, shape (cases,), second minus first.

    Without a case all is NaN; of one case only the bias is known.

    References
    ----------
    Bland and Altman, Statistical methods for assessing agreement between two methods of clinical measurement,
    Lancet 1986.
    """
    gaps = np.asarray(differences, dtype=np.float64)
    bias = float(gaps.mean()) if len(gaps) else math.nan
    spread = 1.96 * float(gaps.std(ddof=1)) if len(gaps) > 1 else math.nan
    return LimitsOfAgreement(bias, bias - spread, bias + spread)
