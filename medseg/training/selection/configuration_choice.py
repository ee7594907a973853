"""Chooses among cross-validated configurations, nested so that no case has a say in how it is measured.

The whole procedure, clean-up of each class included, is repeated without each fold and measured on that fold's cases.
What it gains so over the configuration named first is what it gains on cases nobody has seen; unless that is more than
its standard error, the one named first is taken. nnU-Net takes the best mean of the very cases it reports (Isensee et
al. 2021, doi:10.1038/s41592-020-01008-z).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import mean, stdev

from medseg.training.selection.post_choice import NONE, PostChoice, RuleDice, choose

# Of each fold, the cases it held out and what each clean-up made of them.
RuleTables = Sequence[Mapping[str, RuleDice]]


@dataclass(frozen=True)
class PairedDifference:
    """Mean over cases of the second configuration's mean Dice less the first's, and its standard error."""

    first: str
    second: str
    mean: float
    error: float
    cases: int


@dataclass(frozen=True)
class ConfigurationChoice:
    """What was chosen.

    Parameters
    ----------
    name : str
        The configuration.
    gain, error : float
        Mean difference of Dice to the configuration named first that choosing gave on cases it had not seen, and its
        standard error.
    without : tuple of str
        What is chosen without each fold.
    dice : dict of str to dict of str to float
        By case and class, as measured by what was chosen without the case's fold; where the configuration named first
        is taken because choosing gains nothing, its own.
    differences : tuple of PairedDifference
        Every pair of configurations, each cleaned by its own nested choice.
    """

    name: str
    gain: float
    error: float
    without: tuple[str, ...]
    dice: dict[str, dict[str, float]]
    differences: tuple[PairedDifference, ...]


def choose_configuration(candidates: Mapping[str, RuleTables]) -> ConfigurationChoice:
    """Choose among configurations measured on the same cases in each fold; the one preferred on a tie is first."""
    names = list(candidates)
    first = names[0]
    cases = [[sorted(fold) for fold in candidates[name]] for name in names]
    if any(one != cases[0] for one in cases) or len(cases[0]) < 2:
        raise ValueError("configurations were measured on different cases")
    alone, _ = _nested({first: candidates[first]})
    nested, without = _nested(candidates)
    gain, error = _difference(alone, nested)
    picked = _procedure(candidates)[0] if gain > error else first
    cleaned = {name: _cleaned(tables) for name, tables in candidates.items()}
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    differences = tuple(PairedDifference(a, b, *_difference(cleaned[a], cleaned[b]), len(cleaned[a])) for a, b in pairs)
    return ConfigurationChoice(
        picked, gain, error, tuple(without), cleaned[first] if picked == first else nested, differences
    )


def _procedure(candidates: Mapping[str, RuleTables]) -> tuple[str, dict[str, str]]:
    """Configuration and the clean-up of each of its classes that these folds speak for."""
    choices = {name: _choices(tables) for name, tables in candidates.items()}
    holder = next(iter(candidates))
    dice = {name: _cleaned(tables) for name, tables in candidates.items()}
    for name in candidates:
        # Of two that cannot be distinguished, the one named before.
        difference, error = _difference(dice[holder], dice[name])
        holder = name if difference > error else holder
    return holder, {name: choice.rule for name, choice in choices[holder].items()}


def _nested(candidates: Mapping[str, RuleTables]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Dice of each case by what is chosen without its fold, and what that is for each fold."""
    found: dict[str, dict[str, float]] = {}
    names: list[str] = []
    for number in range(len(next(iter(candidates.values())))):
        others = {name: [f for k, f in enumerate(tables) if k != number] for name, tables in candidates.items()}
        name, rules = _procedure(others)
        names.append(name)
        for case, classes in candidates[name][number].items():
            found[case] = {one: dice[rules.get(one, NONE)] for one, dice in classes.items()}
    return found, names


def _choices(tables: RuleTables) -> dict[str, PostChoice]:
    """Clean-ups; none where one fold is left, or where none was compared."""
    first = next(iter(tables[0].values()))
    if len(tables) < 2 or any(len(rules) < 2 for rules in first.values()):
        return {}
    return choose(tables)


def _cleaned(tables: RuleTables) -> dict[str, dict[str, float]]:
    choices = _choices(tables)
    return {
        case: {name: choices[name].dice[case] if name in choices else rules[NONE] for name, rules in classes.items()}
        for fold in tables
        for case, classes in fold.items()
    }


def _difference(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]
) -> tuple[float, float]:
    """Mean over cases of the difference of mean Dice, and its standard error."""
    found = [_mean(after[case]) - _mean(before[case]) for case in before]
    return mean(found), stdev(found) / len(found) ** 0.5 if len(found) > 1 else float("inf")


def _mean(classes: Mapping[str, float]) -> float:
    """Nothing predicted where nothing is present is right."""
    return mean(1.0 if isnan(value) else value for value in classes.values())
