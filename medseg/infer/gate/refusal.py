"""Why a scan is not what a model is for, and the way out."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.errors import NotForThisModel
from medseg.models.card import ModelCard

# What files, tables and reports say of a result made all the same.
MARK = "not what the model is for"
ANYWAY = (
    "or add --anyway (in Python, anyway=True): labels are then made, and every output says that the scan is " + MARK
)


@dataclass(frozen=True)
class Refusal:
    """One reason, in words that follow "the scan", and what to do instead."""

    reason: str
    fix: str

    def error(self) -> NotForThisModel:
        """Return it as the exception that withholds the case."""
        return NotForThisModel(f"{self.reason[:1].upper()}{self.reason[1:]}", fix=self.fix)

    def warning(self) -> str:
        """Return it as the warning of a result made all the same."""
        return f"{MARK.capitalize()}: {self.reason}."


def refusal(reason: str, card: ModelCard, instead: str | None = None) -> Refusal:
    """Refuse for a reason; without `instead`, the way out is to give what the model's card says."""
    return Refusal(reason, way_out(card, instead))


def way_out(card: ModelCard, instead: str | None = None) -> str:
    """Say what to do about a scan that is refused.

    >>> from medseg.models.package import load_package
    >>> way_out(load_package("hippocampus").card)
    'Give a whole head in T1-weighted MR, or a crop of about 36 x 50 x 36 mm...'
    """
    what = card.input.accepts.purpose if card.input.accepts else ""
    give = f"Give {what}" if what else f"Give a scan like those on the model's card (medseg models show {card.name})"
    return f"{instead or give}; {ANYWAY}."
