"""Cross-validation: a run for each fold, then one on all cases whose card carries what the folds measured."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import geometric_mean, mean

import numpy as np

from medseg.counted import counted
from medseg.data.splits import folds_to_cross, split_pool
from medseg.errors import ConfigError, InputError, UsageError
from medseg.io.files.atomic import write_text
from medseg.models.calibration_card import CalibrationCard
from medseg.models.package import ModelPackage, load_package
from medseg.models.validation_card import ValidationCard
from medseg.models.volume_interval_card import VolumeIntervalCard
from medseg.training.final_model import Claims, Final, final_package
from medseg.training.fold_results import finished_fold, rule_tables, tables_without_rules
from medseg.training.folds_on_cluster import train_on_cluster
from medseg.training.measured_classes import class_dice, untrained_of
from medseg.training.selection.held_out_volumes import volume_interval_card
from medseg.training.selection.post_choice import NONE, PostChoice, RuleDice, as_post, choose
from medseg.training.selection.validate import CaseDice, mean_dice, mean_pq, write_validation
from medseg.training.train import train_model
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class Crossed:
    """What the folds of one configuration came to.

    Parameters
    ----------
    run : TrainingRun
        Trained by, its number of folds set.
    folds : tuple of Path
        Folders of the folds' runs.
    results : tuple of CaseDice
        Of every held-out case, cleaned by what was best without its fold, in order of case ids.
    by_fold : dict of str to float
        Mean Dice of each fold, nothing cleaned.
    choices : dict of str to PostChoice
        Clean-up of each class, where one was chosen.
    tables : tuple of dict of str to RuleDice
        Of each fold, what each clean-up made of its cases; without clean-up alone where none was compared.
    parts : tuple of str
        Names of the configurations whose models are averaged in each fold; none where each has one model.
    """

    run: TrainingRun
    folds: tuple[Path, ...]
    results: tuple[CaseDice, ...]
    by_fold: dict[str, float]
    choices: dict[str, PostChoice]
    tables: tuple[dict[str, RuleDice], ...]
    parts: tuple[str, ...] = ()


def folds_of(text: str, count: int) -> tuple[int, ...]:
    """Folds meant by ``all`` or by numbers with commas between them."""
    if text.strip().lower() == "all":
        return tuple(range(count))
    try:
        folds = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        folds = (-1,)
    if any(not 0 <= fold < count for fold in folds):
        raise UsageError(f"'{text}' names no folds", where="--folds", fix=f"Write all, or numbers 0 to {count - 1}.")
    return folds


def cross_validate(run: TrainingRun, folds: Sequence[int], *, final: Final = "all") -> ModelPackage | None:
    """Train and measure each fold in ``fold_K``; with all folds, make a package of all cases in ``model`` too.

    Also leaves ``cross_validation.csv`` and ``.json``. Folds that are done are not done again, so that the same call
    resumes where it was stopped. A time budget is shared evenly among the runs.
    """
    run = crossed_run(run)
    all_folds = len(folds) == run.config.split.folds
    run = share_budget(run, len(folds) + (all_folds and final == "all"))
    crossed = cross(run, folds)
    by_class, overall = mean_dice(crossed.results)
    if run.processes.is_first:
        write_validation(run.out / "cross_validation.csv", crossed.results)
        summary = {"cases": len(crossed.results), "mean_dice": round(overall, 4), "dice": by_class}
        summary |= {"folds": crossed.by_fold, "post": choices_as_json(crossed.choices)}
        write_text(run.out / "cross_validation.json", json.dumps(summary, indent=1) + "\n")
        log.info("Cross-validated mean Dice is %.4f over %s.", overall, counted(len(crossed.results), "case"))
    if not all_folds:
        return None
    return final_package(crossed.run, crossed.folds, final, claims_of(crossed, crossed.results, final))


def claims_of(crossed: Crossed, results: Sequence[CaseDice], final: Final, note: str = "") -> Claims:
    """Return what the card of the final package says that the folds measured."""
    return Claims(
        validation_card(crossed, results, final, note),
        as_post(crossed.choices),
        _volume_interval(crossed, final),
        _calibration(crossed) if final == "all" else None,
    )


def _volume_interval(crossed: Crossed, final: Final) -> VolumeIntervalCard | None:
    """Intervals from every case, each measured by the fold that held it out; of classes that nothing cleans after."""
    cleaned = {name for name, choice in crossed.choices.items() if choice.rule != NONE}
    cases = [{name: pair for name, pair in one.volumes.items() if name not in cleaned} for one in crossed.results]
    weights = "these weights, of all cases," if final == "all" else "their average"
    kind = "ensembles" if crossed.parts else "models"
    return volume_interval_card(
        cases, f"{crossed.run.config.split.folds} {kind}, each on the cases it was not trained on; {weights} may differ"
    )


def _calibration(crossed: Crossed) -> CalibrationCard | None:
    """Return the folds' temperature for one more model of the same kind; None where it did not help in every fold."""
    found = [load_package(folder / "model").card.calibration for folder in crossed.folds]
    fitted = [one for one in found if one is not None]
    if len(fitted) < len(found):
        return None
    means = {
        name: round(mean(getattr(one, name) for one in fitted), 6)
        for name in ("nll_before", "nll_after", "ece_before", "ece_after")
    }
    return CalibrationCard(
        temperature=round(geometric_mean(one.temperature for one in fitted), 4),
        cases_fitted=sum(one.cases_fitted for one in fitted),
        cases_checked=sum(one.cases_checked for one in fitted),
        **means,
    )


def share_budget(run: TrainingRun, runs: int) -> TrainingRun:
    """Give one of so many runs its part of the time budget."""
    budget = run.config.time_budget
    return run.with_config(time_budget=None if budget is None else budget / runs)


def crossed_run(run: TrainingRun) -> TrainingRun:
    """Return the run with a number of folds, and one folder of prepared cases for all of them.

    By default five folds; of fewer cases or groups as many, which is leave-one-out.
    """
    if run.config.split.folds is None:
        run = run.with_split(folds=folds_to_cross(run.dataset.labeled))
    assert run.config.split.folds is not None
    if run.config.split.folds < 2:
        raise ConfigError(
            "cross-validation needs at least two folds, and as many cases or groups",
            where="split.folds",
            fix="Omit --folds, or set it to 2 or more.",
        )
    if any(case.split == "validation" for case in split_pool(run.dataset.labeled)):
        raise ConfigError("the dataset has its own validation cases", where="--folds", fix="Omit --folds.")
    return replace(run, prepared_in=run.out / "prepared", started=None)


def cross(run: TrainingRun, folds: Sequence[int]) -> Crossed:
    """Train and measure folds, and choose each class's clean-up; the time budget is that of one fold."""
    runs = {fold: _fold_run(run, fold) for fold in folds}
    if run.cluster is not None:
        train_on_cluster([one for one in runs.values() if finished_fold(one.out, one.config) is None], run.cluster)
    return crossed_of(run, [one.out for one in runs.values()], [_measured_fold(one) for one in runs.values()])


def crossed_of(run: TrainingRun, folders: Sequence[Path], by_folder: Sequence[list[CaseDice]]) -> Crossed:
    """Choose each class's clean-up by what was measured in the folders of folds; raises `InputError` without a case."""
    results = sorted((one for measured in by_folder for one in measured), key=lambda one: one.case_id)
    if not results:
        raise InputError(
            "no held-out case of these folds can be measured",
            where=folders[0],
            fix="audit.html there says why; correct those cases, and train again.",
        )
    by_fold = {
        folder.name.removeprefix("fold_"): round(mean_dice(measured)[1], 4)
        for folder, measured in zip(folders, by_folder, strict=True)
        if measured
    }
    tables = rule_tables(folders, results)
    choices = choose(tables) if tables and len(folders) == run.config.split.folds else {}
    cleaned = [replace(one, dice={name: _as_chosen(choices, name, one) for name in one.dice}) for one in results]
    return Crossed(run, tuple(folders), tuple(cleaned), by_fold, choices, tables or tables_without_rules(folders))


def _fold_run(run: TrainingRun, fold: int) -> TrainingRun:
    one = run.with_split(fold=fold)
    return replace(one, out=run.out / f"fold_{fold}", compares_cleanup=True, measures_test=False)


def _measured_fold(run: TrainingRun) -> list[CaseDice]:
    """Dice of each case a fold held out, from a run made now or before."""
    done = finished_fold(run.out, run.config)
    if done is not None:
        return done
    log.info("Training fold %d of %d.", run.config.split.fold, run.config.split.folds)
    train_model(run)
    done = finished_fold(run.out, run.config)
    assert done is not None
    return done


def _as_chosen(choices: Mapping[str, PostChoice], name: str, one: CaseDice) -> float:
    return choices[name].dice[one.case_id] if name in choices else one.dice[name]


def choices_as_json(choices: Mapping[str, PostChoice]) -> dict[str, dict[str, object]]:
    """Clean-up as in ``cross_validation.json``."""
    return {
        name: {"rule": choice.rule, "gain": round(choice.gain, 4), "standard_error": round(choice.error, 4)}
        for name, choice in choices.items()
    }


def validation_card(crossed: Crossed, results: Sequence[CaseDice], final: Final, note: str = "") -> ValidationCard:
    """What a package of all cases says of how it was measured."""
    cards = [load_package(folder / "model").card for folder in crossed.folds]
    by_class, overall = class_dice(results, untrained_of(cards))
    split = crossed.run.config.split
    weights = {
        "all": "These weights were trained on all cases, so no case is left to measure them on.",
        "ensemble": "This package averages those models, so every case was used to train one of them; their average "
        "itself was not measured, nor its probabilities calibrated.",
    }
    cleaned = "".join(
        f" {name} is cleaned by {choice.rule}, which raised its Dice by {choice.gain:.4f}; each case was measured as "
        "cleaned by the rule that was best without its fold."
        for name, choice in crossed.choices.items()
        if choice.rule != NONE
    )
    kind = f"ensembles of {' and '.join(crossed.parts)}" if crossed.parts else "models of this configuration"
    return ValidationCard(
        split=f"{split.folds}-fold cross-validation, seed {split.seed}",
        cases=len(results),
        dice=by_class,
        mean_dice=overall,
        pq=mean_pq(crossed.results),
        volume_range_ml=_volume_range(crossed.folds),
        volume_quantiles_ml=_volume_quantiles(crossed.folds),
        notes=f"Measured on {split.folds} {kind}, each on the cases it was not trained on. "
        + weights[final]
        + cleaned
        + note,
    )


def _volume_quantiles(folds: Sequence[Path]) -> dict[str, tuple[float, ...]]:
    """Quantiles of the volume of each class: the mean of the folds', of which each is of nearly all references."""
    cards = [load_package(folder / "model").card.validation for folder in folds]
    known = [card.volume_quantiles_ml for card in cards if card is not None]
    shared = set[str]().union(*known)
    return {
        name: tuple(float(value) for value in np.mean([one[name] for one in known if name in one], axis=0).round(3))
        for name in sorted(shared)
    }


def _volume_range(folds: Sequence[Path]) -> dict[str, tuple[float, float]]:
    """Smallest and largest volume of each class in all references: every case was trained on in some fold."""
    cards = [load_package(folder / "model").card.validation for folder in folds]
    known = [card.volume_range_ml for card in cards if card is not None]
    every: dict[str, list[float]] = {}
    for one in known:
        for name, limits in one.items():
            every.setdefault(name, []).extend(limits)
    return {name: (min(limits), max(limits)) for name, limits in every.items()}
