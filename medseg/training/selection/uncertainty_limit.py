"""Finds how undecided a network is on cases it was not trained on, so that a case beyond that can be remarked on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medseg.models.card import ModelCard, UncertaintyCard
from medseg.types import Prediction

__all__ = ["LEAST_CASES", "MARGIN", "PERCENTILE", "boundary_entropy", "uncertainty_limits"]

# Some dozen cases place the end of a tail badly: beyond the 99th percentile of 21 lay 6 of 21 other ordinary scans of
# the same kind. So the limit lies a little higher.
PERCENTILE, MARGIN = 99.0, 0.05
# Fewer cases do not tell what is ordinary.
LEAST_CASES = 20


def boundary_entropy(prediction: Prediction, card: ModelCard) -> dict[str, float]:
    """Mean entropy along the border of each class that has one, by class name.

    Parameters
    ----------
    prediction : Prediction
        Of one case.
    card : ModelCard
        Of the model that made it.
    """
    names = {c.value: c.name for c in card.classes}
    return {
        names[value]: uncertainty.boundary_entropy
        for value, uncertainty in prediction.uncertainty.items()
        if uncertainty.boundary_entropy is not None
    }


def uncertainty_limits(cases: Sequence[Mapping[str, float]]) -> UncertaintyCard | None:
    """Limits for a model's card, None where too few cases are known.

    Parameters
    ----------
    cases : sequence of mapping of str to float
        Of each case, as `boundary_entropy` gives it. They must not have been trained on: a network is surer of those.
    """
    names = sorted({name for case in cases for name in case})
    by_class = {name: [case[name] for case in cases if name in case] for name in names}
    limits = {name: _limit(values) for name, values in by_class.items() if len(values) >= LEAST_CASES}
    return UncertaintyCard(boundary_entropy=limits, cases=len(cases)) if limits else None


def _limit(values: Sequence[float]) -> float:
    return round(float(min(1.0, np.percentile(values, PERCENTILE) + MARGIN)), 4)
