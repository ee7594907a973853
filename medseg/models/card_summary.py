"""The essence of a model card, for whoever reads its results: what it is for, its limits, and what was measured."""

from __future__ import annotations

import math
from typing import Any

from medseg.models.card import ModelCard


def summary(card: ModelCard) -> dict[str, Any]:
    """Return what JSON can hold of a card; `dice` maps class names to measured Dice, empty where nothing was."""
    measured = card.validation
    names = [entry.name for entry in card.result_classes]
    dice = {} if measured is None else {name: measured.dice[name] for name in names if name in measured.dice}
    return {
        "name": card.name,
        "version": card.version,
        "title": card.title,
        "notice": card.notice,
        "use": card.license.use,
        "license": card.training.license,
        "limits": list(card.limits),
        "dice": {name: None if math.isnan(value) else value for name, value in dice.items()},
        "n_cases": 0 if measured is None else measured.cases,
        "split": "" if measured is None else measured.split,
    }
