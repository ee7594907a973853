"""Chooses a clean-up of each class by cross-validation, nested so that no case has a say in how it is measured.

nnU-Net keeps the largest component where that raises the Dice of the very cases it then reports (Isensee et al. 2021,
doi:10.1038/s41592-020-01008-z). Here each fold's cases are cleaned by the rule that was best on the other folds. What
that gains is what a rule chosen this way gains on cases nobody has seen, so it is the figure reported; and unless it is
more than its standard error, nothing is cleaned.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from medseg.harmless import TableWriter, name_from_cell
from medseg.io.files.atomic import write_text
from medseg.io.files.csv_table import table_rows
from medseg.models.card import PostCard
from medseg.post.cleanup import KeepLargest, RemoveSmall
from medseg.training.selection.validate import dice
from medseg.types import LabelMap, Scan

NONE = "none"
# Fixed beforehand, so that not even the candidates depend on the data.
RULES: dict[str, KeepLargest | RemoveSmall] = {
    "keep_largest": KeepLargest(),
    **{f"remove_small {size} mm3": RemoveSmall(min_mm3=size) for size in (10, 100, 1000, 10_000)},
}
COLUMNS = ("case_id", "class", "rule", "dice")

# Class to rule to Dice; NaN where the class is neither present nor predicted.
RuleDice = dict[str, dict[str, float]]


@dataclass(frozen=True)
class PostChoice:
    """What was chosen for one class.

    Parameters
    ----------
    rule : str
        A key of `RULES`, or ``"none"``.
    gain, error : float
        Mean difference of Dice that choosing gave on cases it had not seen, and its standard error.
    dice : dict of str to float
        Of each case, as cleaned by the other folds' choice where a rule was taken.
    """

    rule: str
    gain: float
    error: float
    dice: dict[str, float]


def rule_dice(prediction: LabelMap, reference: LabelMap, ignore: int | None = None) -> RuleDice:
    """Dice of each class without clean-up and with each rule applied to that class alone."""
    counted = np.ones(reference.array.shape, bool) if ignore is None else reference.array != ignore
    found: RuleDice = {}
    for entry in prediction.table:
        truth = (reference.array == entry.value)[counted]
        found[entry.name] = {NONE: dice((prediction.array == entry.value)[counted], truth)}
        for name, rule in RULES.items():
            cleaned = rule.model_copy(update={"classes": (entry.name,)}).apply(prediction)
            found[entry.name][name] = dice((cleaned.array == entry.value)[counted], truth)
    return found


class RuleTable:
    """Collects what each rule makes of the cases that are measured; reference voxels of value `ignore` do not count."""

    def __init__(self, ignore: int | None = None) -> None:
        self.ignore = ignore
        self.cases: dict[str, RuleDice] = {}

    def add(self, case_id: str, dice: dict[str, float], _scan: Scan, reference: LabelMap, labels: LabelMap) -> None:
        """Add a case; of a class whose `dice` is NaN no rule has any, as where the reference does not annotate it."""
        found = rule_dice(labels, reference, self.ignore)
        self.cases[case_id] = {
            name: dict.fromkeys(rules, nan) if isnan(dice[name]) else rules for name, rules in found.items()
        }


def choose(folds: Sequence[Mapping[str, RuleDice]]) -> dict[str, PostChoice]:
    """Choose a rule for each class, given what each rule makes of the cases that each fold held out."""
    classes = list(next(iter(folds[0].values())))
    return {name: _choose([{case: rules[name] for case, rules in fold.items()} for fold in folds]) for name in classes}


def _choose(folds: Sequence[Mapping[str, Mapping[str, float]]]) -> PostChoice:
    nested: dict[str, float] = {}
    plain: dict[str, float] = {}
    for number, fold in enumerate(folds):
        others = [rules for k, other in enumerate(folds) if k != number for rules in other.values()]
        best = _best(others)
        nested |= {case: rules[best] for case, rules in fold.items()}
        plain |= {case: rules[NONE] for case, rules in fold.items()}
    gains = [_filled(nested[case]) - _filled(plain[case]) for case in plain]
    gain = mean(gains)
    error = stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("inf")
    rule = _best([rules for fold in folds for rules in fold.values()]) if gain > error else NONE
    return PostChoice(rule, gain, error, nested if rule != NONE else plain)


def _best(cases: Sequence[Mapping[str, float]]) -> str:
    """Rule of the highest mean Dice; none where no rule raises it."""
    return max((NONE, *RULES), key=lambda rule: mean([_filled(rules[rule]) for rules in cases]))


def _filled(value: float) -> float:
    """Nothing predicted where nothing is present is right."""
    return 1.0 if isnan(value) else value


def as_post(choices: Mapping[str, PostChoice]) -> tuple[PostCard, ...]:
    """The chosen clean-up as post-processing of a card."""
    rules = [
        RULES[choice.rule].model_copy(update={"classes": (name,)}).model_dump(mode="json")
        for name, choice in choices.items()
        if choice.rule != NONE
    ]
    return (PostCard(stage="clean-up", options={"rules": rules}),) if rules else ()


def write_rule_dice(path: Path, cases: Mapping[str, RuleDice]) -> None:
    """Write one row for each case, class and rule."""
    text = io.StringIO()
    writer = TableWriter(text)
    writer.writerow(COLUMNS)
    for case_id, classes in cases.items():
        for name, rules in classes.items():
            writer.writerows([case_id, name, rule, f"{value:.6f}"] for rule, value in rules.items())
    write_text(path, text.getvalue())


def read_rule_dice(path: Path) -> dict[str, RuleDice]:
    """Read what `write_rule_dice` wrote."""
    found: dict[str, RuleDice] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in table_rows(stream):
            found.setdefault(row["case_id"], {}).setdefault(name_from_cell(row["class"]), {})[row["rule"]] = float(
                row["dice"]
            )
    return found
