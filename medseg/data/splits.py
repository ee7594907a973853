"""Splits cases into those trained on and those held out, identically on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from medseg.counted import counted
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
    - `test`: the dataset's own test cases, which are measured when all else is done.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...] = ()


def folds_for_one(cases: Sequence[DatasetCase]) -> int:
    """Folds where one model is trained, so that about 20 cases are held out: no fewer than 5, no more than 10.

    Fewer than five cases or groups are as many folds, which is leave-one-out; a single one is trained on.
    """
    return min(max(round(len(cases) / MEASURED), CROSSED), MOST_FOLDS, len(_groups(cases)))


def folds_to_cross(cases: Sequence[DatasetCase]) -> int:
    """Folds of a cross-validation: those given, or five, or with fewer cases or groups as many as there are."""
    pool = split_pool(cases)
    return len(pool[0].folds) if pool and pool[0].folds else min(CROSSED, len(_groups(pool)))


def split_pool(cases: Sequence[DatasetCase]) -> list[DatasetCase]:
    """Cases that may be trained on or held out: all but the dataset's own test cases."""
    return [case for case in cases if case.split != "test"]


def split_cases(cases: Sequence[DatasetCase], *, folds: int | None, fold: int, seed: int) -> Split:
    """Split cases by the dataset's own split where it has one, by folds otherwise.

    Where the dataset only says which cases are its test, the others are split by folds.

    - `folds`: number of parts of equal size; 1 holds nothing out. By default `folds_for_one`.
    """
    pool = split_pool(cases)
    test = tuple(sorted(case.case_id for case in cases if case.split == "test"))
    if test and not pool:
        raise ConfigError(
            "every labeled case is a test case", where="the dataset", fix="Leave some to train on, as split 'train'."
        )
    given = [case for case in pool if case.split is not None]
    if given and len(given) < len(pool):
        without = next(case.case_id for case in pool if case.split is None)
        raise ConfigError(
            f"some cases have a split of their own and '{without}' has none",
            where="the dataset",
            fix="Give every case a split, or none.",
        )
    apart = f"; the dataset's {len(test)} test cases apart" if test else ""
    if any(case.split == "validation" for case in pool):
        return Split(
            "as the dataset gives it",
            tuple(sorted(c.case_id for c in pool if c.split == "train")),
            tuple(sorted(c.case_id for c in pool if c.split == "validation")),
            test,
        )
    given_folds = len(pool[0].folds) if pool else 0
    if given_folds and folds in (None, given_folds):
        return _given_fold(pool, fold, given_folds, test)
    if folds is None:
        folds = folds_for_one(pool)
    if folds == 1:
        alone = "" if len(_groups(pool)) > 1 else ", because there is one case or group"
        return Split(f"nothing held out{alone}{apart}", tuple(sorted(c.case_id for c in pool)), (), test)
    assigned = fold_of(pool, folds=folds, seed=seed)
    if not 0 <= fold < folds:
        raise ConfigError(f"there is no fold {fold}", where="split.fold", fix=f"Use 0 to {folds - 1}.")
    held_out = tuple(sorted(c for c, f in assigned.items() if f == fold))
    kept = tuple(sorted(c for c, f in assigned.items() if f != fold))
    one_out = "leave-one-out, " if folds == len(pool) else ""
    return Split(f"{one_out}fold {fold} of {folds}, seed {seed}{apart}", kept, held_out, test)


def _given_fold(pool: Sequence[DatasetCase], fold: int, count: int, test: tuple[str, ...]) -> Split:
    if not 0 <= fold < count:
        raise ConfigError(f"there is no fold {fold}", where="split.fold", fix=f"Use 0 to {count - 1}.")
    train, held_out, neither = (
        tuple(sorted(case.case_id for case in pool if case.folds[fold] == part))
        for part in ("train", "validation", None)
    )
    rest = f"; {counted(len(neither), 'case')} in neither part" if neither else ""
    return Split(f"fold {fold} of {count}, as the dataset gives it{rest}", train, held_out, test)


def fold_of(cases: Sequence[DatasetCase], *, folds: int, seed: int) -> dict[str, int]:
    """Fold of each case id.

    Groups are ordered by a hash of seed and name and dealt out in turn, each to the fold with the fewest cases so far,
    so that folds differ by at most the largest group. Neither the order in which cases are listed nor any library's
    random numbers matter.
    """
    groups = _groups(cases)
    if len(groups) < folds:
        raise ConfigError(
            f"{counted(len(groups), 'case or group', 'cases or groups')} cannot be split into {folds} folds",
            where="split.folds",
            fix=f"Set it to {len(groups)} at most, or omit it.",
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
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return {name: side for side, names in parts.items() for name in names}


def keep_in_training(split: Split, cases: Sequence[str]) -> Split:
    """Return the split with some of the cases to be held out trained on, because only they have a rare class."""
    moved = tuple(name for name in split.validation if name in set(cases))
    if not moved:
        return split
    held_out = tuple(name for name in split.validation if name not in moved)
    name = f"{split.name}; {counted(len(moved), 'case')} of a rare class kept in training"
    return replace(split, name=name, train=tuple(sorted((*split.train, *moved))), validation=held_out)


def without(split: Split, cases: Container[str], *, requested: bool = True) -> Split:
    """Return the split less some case ids; what remains stays on its side.

    - `requested`: whether a person asked for these folds. Otherwise, where nothing remains to train on, what was to be
      held out is trained on.
    """
    train, validation, test = (
        tuple(name for name in part if name not in cases) for part in (split.train, split.validation, split.test)
    )
    if not (train or requested):
        return Split("nothing held out, because no other case can be trained on", validation, (), test)
    return Split(split.name, train, validation, test)


def _groups(cases: Sequence[DatasetCase]) -> dict[str, list[str]]:
    """Case ids of each group; a case without group is one by itself."""
    groups: dict[str, list[str]] = {}
    for case in cases:
        groups.setdefault(case.group if case.group is not None else f"case {case.case_id}", []).append(case.case_id)
    return groups
