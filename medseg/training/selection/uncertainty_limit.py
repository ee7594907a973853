"""Limits of a network's uncertainty, from cases it was not trained on, beyond which a case gets a warning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from medseg.models.card import ModelCard
from medseg.models.validation_card import UncertaintyCard
from medseg.types import Prediction

# A few dozen cases estimate the tail badly: beyond the 99th percentile of 21 lay 6 of 21 other ordinary scans of the
# same kind. So the limit is a little higher.
PERCENTILE, MARGIN = 99.0, 0.05
# Fewer cases do not show what is ordinary.
LEAST_CASES = 20


def boundary_entropy(prediction: Prediction, card: ModelCard) -> dict[str, float]:
    """Mean entropy along the boundary of each class that has one, by class name."""
    names = {c.value: c.name for c in card.classes}
    return {
        names[value]: uncertainty.boundary_entropy
        for value, uncertainty in prediction.uncertainty.items()
        if uncertainty.boundary_entropy is not None
    }


def uncertainty_limits(cases: Sequence[Mapping[str, float]]) -> UncertaintyCard | None:
    """Limits for a model's card, None where too few cases are known.

    `cases` are as `boundary_entropy` gives them, and must not have been trained on: a network is surer of those.
    """
    names = sorted({name for case in cases for name in case})
    by_class = {name: [case[name] for case in cases if name in case] for name in names}
    limits = {name: _limit(values) for name, values in by_class.items() if len(values) >= LEAST_CASES}
    return UncertaintyCard(boundary_entropy=limits, cases=len(cases)) if limits else None


def _limit(values: Sequence[float]) -> float:
    return round(float(min(1.0, np.percentile(values, PERCENTILE) + MARGIN)), 4)
