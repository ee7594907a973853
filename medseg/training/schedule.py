"""Progress of a run, and the learning rate at it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bounds:
    """What ends a run: steps, or seconds over every part of an interrupted run, whichever is over first."""

    steps: int | None
    seconds: float | None

    def progress(self, step: int, elapsed: float) -> float:
        """Fraction of the run done, 0 to 1; 1 or more where it is over.

        Seconds have no influence without a time budget, so that a run bounded by steps alone is the same on a fast and
        a slow machine.
        """
        by_steps = step / self.steps if self.steps else 0.0
        by_time = elapsed / self.seconds if self.seconds else 0.0
        return max(by_steps, by_time)


def learning_rate(progress: float, *, peak: float, warm_up: float, shape: Literal["cosine", "polynomial"]) -> float:
    """Learning rate at a fraction of the run.

    It rises linearly over the first `warm_up` of the run, then falls to 0: as half a cosine (Loshchilov & Hutter 2017,
    arXiv:1608.03983), or with power 0.9 (nnU-Net's choice, after Chen et al. 2017, arXiv:1606.00915).
    """
    done = min(max(progress, 0.0), 1.0)
    rise = min(1.0, done / warm_up) if warm_up > 0 else 1.0
    fall = (1 - done) ** 0.9 if shape == "polynomial" else 0.5 * (1 + math.cos(math.pi * done))
    return peak * rise * fall
