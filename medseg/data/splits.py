"""Splits cases into those trained on and those held out, identically on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass

from medseg.data.dataset import DatasetCase
from medseg.errors import ConfigError

# Folds of a cross-validation, and the fewest and most when one model holds out one of them; it then measures itself on
# about so many cases, whose mean Dice is uncertain by a fifth of what it is for one.
CROSSED, MOST_FOLDS = 5, 10
MEASURED = 20


@dataclass(frozen=True)
class Split:
    """Case ids trained on and case ids held out, each in order.

    - `name`: how it came about, as a model card gives it.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]


def folds_for_one(cases: int) -> int:
    """Folds where one model is trained, so that about 20 cases are held out: no fewer than 5, no more than 10."""
    return min(max(round(cases / MEASURED), CROSSED), MOST_FOLDS)


def split_cases(cases: Sequence[DatasetCase], *, folds: int | None, fold: int, seed: int) -> Split:
    """Split cases by the dataset's own split where every case has one, by folds otherwise.

    - `folds`: number of parts of equal size; 1 holds nothing out. By default `folds_for_one`.
    """
    given = [case for case in cases if case.split is not None]
    if given and len(given) < len(cases):
        without = next(case.case_id for case in cases if case.split is None)
        raise ConfigError(
            f"some cases have a split of their own and '{without}' has none",
            where="the dataset",
            fix="Give every case a split, or none.",
        )
    if given:
        return Split(
            "as the dataset gives it",
            tuple(sorted(c.case_id for c in cases if c.split == "train")),
            tuple(sorted(c.case_id for c in cases if c.split == "validation")),
        )
    if folds is None:
        folds = folds_for_one(len(cases))
    if folds == 1:
        return Split("nothing held out", tuple(sorted(c.case_id for c in cases)), ())
    assigned = fold_of(cases, folds=folds, seed=seed)
    if not 0 <= fold < folds:
        raise ConfigError(f"there is no fold {fold}", where="split.fold", fix=f"Use 0 to {folds - 1}.")
    held_out = tuple(sorted(c for c, f in assigned.items() if f == fold))
    kept = tuple(sorted(c for c, f in assigned.items() if f != fold))
    return Split(f"fold {fold} of {folds}, seed {seed}", kept, held_out)


def fold_of(cases: Sequence[DatasetCase], *, folds: int, seed: int) -> dict[str, int]:
    """Fold of each case id.

    Groups are ordered by a hash of seed and name and dealt out in turn, each to the fold with the fewest cases so far,
    so that folds differ by at most the largest group. Neither the order in which cases are listed nor any library's
    random numbers matter.
    """
    groups: dict[str, list[str]] = {}
    for case in cases:
        groups.setdefault(case.group if case.group is not None else f"case {case.case_id}", []).append(case.case_id)
    if len(groups) < folds:
        raise ConfigError(
            f"{len(groups)} cases or groups cannot be split into {folds} folds",
            where="split.folds",
            fix="Set split.folds lower.",
        )
    counts = [0] * folds
    assigned: dict[str, int] = {}
    for name in sorted(groups, key=lambda g: hashlib.sha256(f"{seed}/{g}".encode()).hexdigest()):
        fold = counts.index(min(counts))
        counts[fold] += len(groups[name])
        assigned.update(dict.fromkeys(groups[name], fold))
    return assigned


def sides(split: Split) -> dict[str, str]:
    """Side of the split each case is on, by case id."""
    return {**dict.fromkeys(split.train, "train"), **dict.fromkeys(split.validation, "validation")}


def without(split: Split, cases: Container[str]) -> Split:
    """Return the split less some case ids; what remains stays on its side."""
    return Split(
        split.name,
        tuple(name for name in split.train if name not in cases),
        tuple(name for name in split.validation if name not in cases),
    )
