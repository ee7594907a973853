"""Dice as a card gives it: of the classes that were trained and measured, and of no other."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from medseg.models.card import ModelCard
from medseg.training.samples.prepared import PreparedCase
from medseg.training.selection.validate import CaseDice, mean_dice


def untrained_classes(cases: Sequence[PreparedCase], shown: Mapping[str, str]) -> tuple[str, ...]:
    """Classes that no case trained on has, none that annotates them included; `shown` has the card's name of each."""
    volumes = [case.facts.volumes_ml for case in cases]
    return tuple(public for name, public in shown.items() if not any(case.get(name, 0.0) > 0 for case in volumes))


def as_limits(untrained: Sequence[str]) -> tuple[str, ...]:
    """Say of each that the model does not know it, as a limit on the card."""
    return tuple(f"No training case has '{name}', so the model cannot find it." for name in untrained)


def class_dice(results: Sequence[CaseDice], untrained: Collection[str]) -> tuple[dict[str, float], float]:
    """Mean Dice of each class that was trained and of which a case has something to measure, and the mean of those."""
    known = {name: value for name, value in mean_dice(results)[0].items() if name not in untrained}
    measured = {name: round(value, 4) for name, value in known.items() if not math.isnan(value)}
    return measured, round(sum(measured.values()) / len(measured), 4) if measured else math.nan


def untrained_of(cards: Sequence[ModelCard]) -> set[str]:
    """Classes that some model of several has not seen."""
    return {name for card in cards for name in card.training.untrained}
