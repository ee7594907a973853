"""Which precisions a model may be run in: float32 always, a lower one only where its cost was measured to be small."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from medseg.counted import counted
from medseg.errors import UsageError
from medseg.models.card import ModelCard
from medseg.models.validation_card import PrecisionCard

LowerPrecision = Literal["bfloat16", "int8"]
Precision = Literal["float32", LowerPrecision]
# In order of falling precision.
LOWER_PRECISIONS: tuple[LowerPrecision, ...] = ("bfloat16", "int8")
# Mean Dice of a class that a lower precision may cost at the most.
LARGEST_DROP = 0.002
# Voxels of a case labeled as in float32 at the least. A mean can hide that voxels moved, some for the better and some
# for the worse; a patient's result must not depend on the machine. It is the fraction at which an imported model is
# taken to be the one it was made from.
LEAST_AGREEMENT = 0.999


def costs_little(measured: PrecisionCard, classes: Iterable[str]) -> bool:
    """Whether a precision may be used: measured for every class, with a small drop, and agreeing in every case."""
    return (
        set(measured.dice_drop) == set(classes)
        and max(measured.dice_drop.values(), default=0.0) <= LARGEST_DROP
        and measured.agreement is not None
        and measured.agreement >= LEAST_AGREEMENT
    )


def allowed_precisions(
    card: ModelCard, wanted: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
) -> tuple[Precision, ...]:
    """Return the precisions to choose from."""
    classes = [c.name for c in card.classes]
    lower = [p for p in LOWER_PRECISIONS if p in card.precisions and costs_little(card.precisions[p], classes)]
    allowed: list[Precision] = ["float32", *lower]
    if wanted == "auto":
        return tuple(allowed)
    if wanted != "float32" and wanted not in allowed:
        why = _why_not(card.precisions.get(wanted), classes)
        raise UsageError(
            f"{wanted} is not used for the model '{card.name}': {why}",
            fix=f"Run medseg models optimize {card.name} --data DATASET, or omit the precision.",
        )
    return (wanted,)


def why_precision(card: ModelCard, used: Precision, wanted: str) -> str:
    """Why a model is run in a precision, in words."""
    if wanted != "auto":
        return f"{used} was requested"
    measured = card.precisions.get(used) if used != "float32" else None
    if measured is not None:
        drop = max(measured.dice_drop.values(), default=0.0)
        return (
            f"{used} was measured to cost {max(drop, 0.0):.5f} Dice at most and to agree with float32 on "
            f"{measured.agreement:.3%} of voxels at least, over {counted(measured.cases, 'case')}"
        )
    if len(allowed_precisions(card)) > 1:
        return "float32 was the faster, or the only one it computes in"
    return "float32, as no lower precision was measured to cost little enough"


def _why_not(measured: PrecisionCard | None, classes: Sequence[str]) -> str:
    if measured is None:
        return "what it costs was not measured"
    if set(measured.dice_drop) != set(classes):
        return "not every class has been measured"
    if max(measured.dice_drop.values(), default=0.0) > LARGEST_DROP:
        return f"it costs more than {LARGEST_DROP} Dice"
    if measured.agreement is None:
        return "how far it agrees with float32 was not measured"
    return f"in one case it agrees with float32 on {measured.agreement:.3%} of voxels, less than {LEAST_AGREEMENT:.1%}"
