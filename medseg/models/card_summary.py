"""The essence of a model card, for whoever reads its results: what it is for, its limits, and what was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from medseg.config.safe_json import parse_json
from medseg.models.card import ModelCard


class CardSummary(BaseModel):
    """What pages about a model's results show of its card."""

    model_config = ConfigDict(frozen=True)

    title: str
    name: str = ""
    version: str = ""
    data: str = ""  # records of earlier versions do not have it
    trained_cases: int = 0
    limits: tuple[str, ...]
    dice: dict[str, float | None]
    n_cases: int
    split: str


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
        "data": card.training.data,
        "trained_cases": card.training.cases,
        "limits": list(card.limits),
        "dice": {name: None if math.isnan(value) else value for name, value in dice.items()},
        "n_cases": 0 if measured is None else measured.cases,
        "split": "" if measured is None else measured.split,
    }


def summaries_in(folder: Path) -> tuple[CardSummary, ...]:
    """Return what the record of a batch's folder has of each model's card; empty where there is none."""
    try:
        listed = parse_json((folder / "run.json").read_text(encoding="utf-8"))["models"]
        return tuple(CardSummary.model_validate(one) for one in listed)
    except (OSError, ValueError, KeyError, TypeError):  # a report made before the record, or labels of another program
        return ()
