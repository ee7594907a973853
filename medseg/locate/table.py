"""The label table of located regions: every class once a region, or each region as one class."""

from __future__ import annotations

from dataclasses import replace

from medseg.models.card import ModelCard
from medseg.models.locate_card import LocateCard
from medseg.types import LabelClass, LabelTable
from medseg.types.labels import PALETTE


def parts_table(card: ModelCard, locate: LocateCard) -> LabelTable:
    """Classes `left anterior hippocampus` and so on: those of the first region, then those of the second.

    >>> from medseg.models.package import load_package
    >>> card = load_package("hippocampus").card
    >>> [(c.value, c.name) for c in parts_table(card, card.locate)][:3]
    [(1, 'left anterior hippocampus'), (2, 'left posterior hippocampus'), (3, 'right anterior hippocampus')]
    """
    return LabelTable(
        tuple(
            replace(
                entry,
                value=part_value(card, region, entry.value),
                name=f"{locate.regions[region].name} {entry.name}",
                color=entry.color if region == 0 else _unused(card)[number % len(_unused(card))],
            )
            for region in range(len(locate.regions))
            for number, entry in enumerate(card.table)
        )
    )


def whole_table(card: ModelCard, locate: LocateCard) -> LabelTable:
    """One class for each region, with values beyond those of the parts."""
    first = next(iter(card.table))
    return LabelTable(
        tuple(
            LabelClass(
                whole_value(card, locate, n),
                f"{region.name} {locate.whole}",
                first.category,
                first.code,
                [entry.color for entry in card.table][n % len(card.table)],
            )
            for n, region in enumerate(locate.regions)
        )
    )


def _unused(card: ModelCard) -> list[tuple[int, int, int]]:
    """Colors that the card's own classes do not have, for those of the second region."""
    own = {entry.color for entry in card.table}
    return [color for color in PALETTE if color not in own] or list(PALETTE)


def part_value(card: ModelCard, region: int, value: int) -> int:
    """Value of a class in the n-th region, counted from 0."""
    return region * card.table.largest + value


def whole_value(card: ModelCard, locate: LocateCard, region: int) -> int:
    """Value of the whole n-th region, counted from 0."""
    return len(locate.regions) * card.table.largest + region + 1
