"""Cascades in one command, and the choice among planned configurations by cross-validation."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from medseg.data.plan import CONFIGURATIONS
from medseg.draw.page import render
from medseg.errors import ConfigError, UsageError
from medseg.io.files.atomic import write_text
from medseg.models.package import ModelPackage
from medseg.training.configuration_ensembles import can_average, cross_ensembles, ensemble_package
from medseg.training.cross_validate import (
    Crossed,
    choices_as_json,
    claims_of,
    cross,
    cross_validate,
    crossed_run,
    folds_of,
    share_budget,
)
from medseg.training.final_model import Final, final_package
from medseg.training.selection.configuration_choice import ConfigurationChoice, choose_configuration
from medseg.training.selection.validate import CaseDice, mean_dice, write_validation
from medseg.training.train import train_model
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")

CASCADE = "cascade"
LOW_RESOLUTION, FULL_RESOLUTION = "3d_lowres", "3d_fullres"
# From a configuration's name and a folder to the run.
MakeRun = Callable[[str, Path], TrainingRun]


def configurations_of(text: str) -> tuple[str, ...]:
    """Names with commas between them, each known and named once."""
    names = tuple(part.strip() for part in text.split(","))
    known = (*CONFIGURATIONS, CASCADE)
    wrong = next((name for name in names if name not in known or names.count(name) > 1), None)
    if wrong is not None:
        what = "is named twice" if wrong in known else "is not a configuration"
        raise UsageError(
            f"'{wrong}' {what}", where="--configuration", fix=f"Name any of {', '.join(known)}, each once."
        )
    return names


def train_cascade(
    make_run: MakeRun, out: Path, *, folds: str | None = None, final: Final = "all"
) -> ModelPackage | None:
    """Cross-validate a low-resolution stage, then train the second on what it made of cases it had not seen.

    With `folds` the second stage is cross-validated too; otherwise it holds out its fold. Both are split the same way;
    a time budget is that of both.
    """
    low = crossed_run(make_run(LOW_RESOLUTION, out / LOW_RESOLUTION))
    full = make_run(FULL_RESOLUTION, out)
    full = full.with_config(split=low.config.split, low_resolution_stage=str(low.out))
    count = low.config.split.folds or 0
    numbers = None if folds is None else folds_of(folds, count)
    runs = 1 if numbers is None else len(numbers) + (len(numbers) == count and final == "all")
    of_one_run = None if full.config.time_budget is None else full.config.time_budget / (count + 1 + runs)
    _low_resolution_stage(low.with_config(time_budget=of_one_run))
    log.info("Training the full-resolution stage.")
    full = full.with_config(time_budget=None if of_one_run is None else of_one_run * runs)
    if numbers is None:
        return train_model(replace(full, started=None))
    return cross_validate(full, numbers, final=final)


def choose_among(make_run: MakeRun, out: Path, names: tuple[str, ...], *, final: Final = "all") -> ModelPackage:
    """Cross-validate configurations, each in ``out/NAME``, choose one or an ensemble of two, and make its package.

    The package is ``out/model``. The one named first is taken unless another gains something. Also leaves
    ``cross_validation.json``, ``.csv`` and ``.html``.
    """
    made = {name: crossed_run(make_run(FULL_RESOLUTION if name == CASCADE else name, out / name)) for name in names}
    count = next(iter(made.values())).config.split.folds or 0
    averaged = can_average(next(iter(made.values())).dataset)
    finals = (1 + averaged) * (final == "all")  # of an ensemble both are trained once more
    runs = len(names) * count + finals + (count * (LOW_RESOLUTION not in names) + 1) * (CASCADE in names)
    if CASCADE in names:
        low = made.get(LOW_RESOLUTION) or crossed_run(make_run(LOW_RESOLUTION, out / LOW_RESOLUTION))
        _low_resolution_stage(share_budget(low, runs))
        made[CASCADE] = made[CASCADE].with_config(low_resolution_stage=str(low.out))
    crossed: dict[str, Crossed] = {}
    for name, run in made.items():
        log.info("Cross-validating the configuration %s.", name)
        one = replace(run, ensembles=averaged * (len(names) - 1))
        crossed[name] = cross(share_budget(one, runs), range(count))
    ensembles = cross_ensembles(crossed, out) if averaged else {}
    crossed |= {name: one for name, one in ensembles.items() if one is not None}
    choice = choose_configuration({name: one.tables for name, one in crossed.items()})
    chosen = crossed[choice.name]
    results = [CaseDice(case, classes) for case, classes in sorted(choice.dice.items())]
    log.info("%s is chosen: %s", choice.name, _compared(crossed, choice))
    if chosen.run.processes.is_first:
        write_validation(out / "cross_validation.csv", results)
        summary = _summary(crossed, choice, results)
        write_text(out / "cross_validation.json", json.dumps(summary, indent=1) + "\n")
        _write_page(out / "cross_validation.html", summary)
    note = f" Compared: {_compared(crossed, choice)} The best of these is slightly too high, as its cases chose it."
    if not averaged:
        note += " Their ensembles were not compared, because classes that may overlap are not averaged."
    if missing := [name for name, one in ensembles.items() if one is None]:
        note += f" Memory did not suffice to measure {', '.join(missing)}."
    claims, run = claims_of(chosen, results, final, note), replace(chosen.run, out=out)
    if not chosen.parts:
        return final_package(run, chosen.folds, final, claims)
    return ensemble_package(run, chosen, crossed, final, claims)


def _low_resolution_stage(run: TrainingRun) -> None:
    if run.dataset.overlapping:
        raise ConfigError(
            "the second stage of a cascade is shown one class for each voxel, and the dataset's classes overlap",
            where="overlapping",
            fix="Train 3d_fullres, or state `overlapping: false`.",
        )
    log.info("Training the low-resolution stage.")
    done = cross(run, range(run.config.split.folds or 0))
    final_package(replace(run, measures_test=False), done.folds, "all", claims_of(done, done.results, "all"))


def _compared(crossed: Mapping[str, Crossed], choice: ConfigurationChoice) -> str:
    figures = ", ".join(f"{name} {mean_dice(list(one.results))[1]:.4f}" for name, one in crossed.items())
    return (
        f"{figures} (mean Dice over folds); choosing, repeated without each fold, gained {choice.gain:+.4f} over "
        f"{next(iter(crossed))} (standard error {choice.error:.4f})."
    )


def _summary(crossed: Mapping[str, Crossed], choice: ConfigurationChoice, results: list[CaseDice]) -> dict[str, object]:
    by_class, overall = mean_dice(results)
    configurations = {}
    for name, one in crossed.items():
        own, mean = mean_dice(list(one.results))
        configurations[name] = {
            "mean_dice": round(mean, 4),
            "dice": own,
            "folds": one.by_fold,
            "post": choices_as_json(one.choices),
        }
    return {
        "cases": len(results),
        "mean_dice": round(overall, 4),
        "dice": by_class,
        "chosen": choice.name,
        "gain": round(choice.gain, 4),
        "standard_error": round(choice.error, 4),
        "chosen_without_fold": dict(enumerate(choice.without)),
        "differences": [asdict(one) for one in choice.differences],
        "configurations": configurations,
    }


def _write_page(path: Path, summary: Mapping[str, object]) -> None:
    write_text(path, render("cross_validation.html", **summary))
