"""Rules of control charts, for one series or thousands of permuted ones at once.

Shewhart, Economic control of quality of manufactured product (1931); Western Electric, Statistical quality control
handbook (1956); Roberts, Control chart tests based on geometric moving averages, Technometrics 1 (1959).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SMOOTHING = 0.2  # weight of the newest value in the moving average
EWMA_LIMIT = 3.0  # standard deviations of the moving average
RULES = {
    1: "one value more than 3 standard deviations from the center",
    2: "two of three values in a row more than 2 standard deviations from it, on one side",
    3: "four of five values in a row more than 1 standard deviation from it, on one side",
    4: "eight values in a row on one side of it",
}
# Rule: how many values of how many in a row, and how many standard deviations from the center.
RUNS = {1: (1, 1, 3.0), 2: (2, 3, 2.0), 3: (4, 5, 1.0), 4: (8, 8, 0.0)}


def broken_at(z: Floats, rule: int) -> Bools:
    """Whether a rule is broken at each value of a series, shape (..., n), in standard deviations from the center."""
    count, window, limit = RUNS[rule]
    return np.logical_or(*(_window_sum(side, window) >= count for side in (z > limit, z < -limit)))


def _window_sum(hits: Bools, window: int) -> npt.NDArray[np.int64]:
    """Number of hits among each value and those before it in a window."""
    total = np.cumsum(hits, axis=-1, dtype=np.int64)
    total[..., window:] = total[..., window:] - total[..., :-window]
    return total


def ewma(z: Floats) -> Floats:
    """Exponentially weighted moving average of a series, in its own standard deviations at each value."""
    average = lfilter([SMOOTHING], [1.0, SMOOTHING - 1.0], z, axis=-1)
    steps = np.arange(1, z.shape[-1] + 1)
    spread = np.sqrt(SMOOTHING / (2 - SMOOTHING) * (1 - (1 - SMOOTHING) ** (2 * steps)))
    return np.asarray(average / spread)


def statistics(z: Floats) -> Floats:
    """How much each rule is broken in each series, shape (series, n): the more, the larger; shape (series, 5).

    Largest distance from the center, how often each of rules 2 to 4 is broken, and the largest moving average.
    """
    runs = [broken_at(z, rule).sum(axis=-1) for rule in (2, 3, 4)]
    return np.column_stack([np.abs(z).max(axis=-1), *runs, np.abs(ewma(z)).max(axis=-1)]).astype(np.float64)
