"""Which precisions a model may be run in: float32 always, a lower one only where its cost was measured to be small."""

from __future__ import annotations

from typing import Literal

from medseg.errors import UsageError
from medseg.models.card import ModelCard

__all__ = ["LARGEST_DROP", "LOWER_PRECISIONS", "LowerPrecision", "Precision", "allowed_precisions"]

LowerPrecision = Literal["bfloat16", "int8"]
Precision = Literal["float32", LowerPrecision]
# In order of falling precision.
LOWER_PRECISIONS: tuple[LowerPrecision, ...] = ("bfloat16", "int8")
# Mean Dice of a class that a lower precision may cost at the most.
LARGEST_DROP = 0.002


def allowed_precisions(
    card: ModelCard, wanted: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
) -> tuple[Precision, ...]:
    """Return the precisions to choose from.

    Parameters
    ----------
    card : ModelCard
        Holds what each precision was measured to cost.
    wanted : str
        ``auto`` for all that are allowed, or one by name.

    Raises
    ------
    UsageError
        When one is asked for by name that is not allowed.
    """
    classes = {c.name for c in card.classes}
    allowed: list[Precision] = ["float32"]
    for precision in LOWER_PRECISIONS:
        measured = card.precisions.get(precision)
        if measured is None or set(measured.dice_drop) != classes:
            continue
        if max(measured.dice_drop.values()) <= LARGEST_DROP:
            allowed.append(precision)
    if wanted == "auto":
        return tuple(allowed)
    if wanted != "float32" and wanted not in allowed:
        known = card.precisions.get(wanted)
        why = (
            "was not measured" if known is None else f"costs more than {LARGEST_DROP} Dice, or not every class has one"
        )
        raise UsageError(
            f"what {wanted} costs the model '{card.name}' {why}",
            fix=f"Run medseg models optimise {card.name} --data DATASET, or leave out the precision.",
        )
    return (wanted,)
