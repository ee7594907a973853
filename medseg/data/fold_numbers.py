"""Folds of a dataset that gives each case the number of the fold it is held out in, as MONAI's datalists do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from medseg.data.dataset import DatasetCase


def with_folds(cases: Sequence[DatasetCase], numbers: Sequence[int | None]) -> tuple[DatasetCase, ...]:
    """Cases with the part they have in each fold; as they are where a case to train on has no number, or all one."""
    known = [number for case, number in zip(cases, numbers, strict=True) if case.split != "test"]
    found = sorted({number for number in known if number is not None})
    if None in known or len(found) < 2:
        return tuple(cases)
    return tuple(
        case if number is None else replace(case, folds=tuple(_part(number, fold) for fold in found))
        for case, number in zip(cases, numbers, strict=True)
    )


def fold_number(case: DatasetCase) -> int | None:
    """Return the fold in which a case is held out; None where there are no folds, or not one alone."""
    held_out = [number for number, part in enumerate(case.folds) if part == "validation"]
    return held_out[0] if len(held_out) == 1 and None not in case.folds else None


def _part(number: int, fold: int) -> Literal["train", "validation"]:
    return "validation" if number == fold else "train"
