"""Ensembles of two cross-validated configurations: the mean of their probabilities, as a composite package."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medseg.config.safe_json import parse_json
from medseg.data.dataset import Dataset
from medseg.errors import ResourceLimit
from medseg.io.files.atomic import atomic_folder
from medseg.io.files.lock import exclusive
from medseg.models.averaging import as_part, write_average
from medseg.models.package import CARD_FILE, ModelPackage, load_package, write_card
from medseg.training.cross_validate import Crossed, claims_of, crossed_of
from medseg.training.final_model import Claims, Final, final_package, measured_on_test
from medseg.training.fold_results import fold_dice
from medseg.training.measure_held_out import measure_held_out
from medseg.training.measured_classes import class_dice
from medseg.training.selection.validate import CaseDice, mean_pq
from medseg.training.train import PACKAGE
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")


def can_average(data: Dataset) -> bool:
    """Whether the classes exclude each other, so that probabilities of several networks have a mean that decides."""
    return not (data.regions or data.overlapping)


def cross_ensembles(crossed: Mapping[str, Crossed], out: Path) -> dict[str, Crossed | None]:
    """Measure the ensemble of every two configurations on the cases that each fold held out, in folders ``A+B``.

    None for one whose probabilities of a case do not fit in memory.
    """
    pairs = itertools.combinations(crossed, 2)
    return {"+".join(pair): _cross(pair, crossed, out / "+".join(pair)) for pair in pairs}


def ensemble_package(
    run: TrainingRun, ensemble: Crossed, crossed: Mapping[str, Crossed], final: Final, claims: Claims
) -> ModelPackage:
    """Make ``model/`` of the final packages of its parts, which are made in the folders of their configurations."""
    parts = {name: crossed[name] for name in ensemble.parts}
    folds = next(iter(parts.values())).folds
    models = {
        name: final_package(replace(one.run, measures_test=False), one.folds, final, claims_of(one, one.results, final))
        for name, one in parts.items()
    }
    if run.processes.is_first:
        with exclusive(run.out, "train"), atomic_folder(run.out / PACKAGE) as folder:
            configured = load_package(ensemble.folds[0] / PACKAGE).card.post
            measured_on_test(run, write_average(models, folder, configured), folds, claims)
    run.processes.wait()
    return load_package(run.out / PACKAGE)


def _cross(names: tuple[str, str], crossed: Mapping[str, Crossed], out: Path) -> Crossed | None:
    log.info("Measuring the ensemble of %s and %s.", *names)
    run = replace(crossed[names[0]].run, out=out, compares_cleanup=True)
    folders = [out / folder.name for folder in crossed[names[0]].folds]
    results = []
    for number, folder in enumerate(folders):
        parts = {name: crossed[name].folds[number] for name in names}
        if run.processes.is_first and _measured(folder, parts) is None:
            try:
                _measure(replace(run, out=folder), parts)
            except ResourceLimit as error:
                log.warning("The ensemble of %s and %s is not compared: %s", *names, error)
        run.processes.wait()
        measured = _measured(folder, parts)
        if measured is None:
            return None
        results.append(measured)
    return replace(crossed_of(run, folders, results), parts=names)


def _measured(folder: Path, parts: Mapping[str, Path]) -> list[CaseDice] | None:
    """What was measured before of these very models."""
    table = folder / "validation.csv"
    if not (table.is_file() and (folder / PACKAGE / CARD_FILE).is_file()):
        return None
    package = load_package(folder / PACKAGE)
    if [part.card for part in package.parts] != [as_part(load_package(one / PACKAGE).card) for one in parts.values()]:
        return None
    results = fold_dice(table)
    return None if results and package.card.validation is None else results


def _measure(run: TrainingRun, parts: Mapping[str, Path]) -> None:
    """Write and measure the average of two models of a fold."""
    first = next(iter(parts.values()))
    models = {name: load_package(folder / PACKAGE) for name, folder in parts.items()}
    held_out = set(parse_json((first / "split.json").read_text(encoding="utf-8"))["validation"])
    cases = [case for case in run.dataset.labeled if case.case_id in held_out]
    run.out.mkdir(parents=True, exist_ok=True)
    with exclusive(run.out, "train"), atomic_folder(run.out / PACKAGE) as folder:
        package = write_average(models, folder, models[next(iter(parts))].card.post)
        results = measure_held_out(run, package, cases)
        known = models[next(iter(parts))].card.validation
        if known is not None and results:
            by_class, overall = class_dice(results, package.card.training.untrained)
            figures = {"cases": len(results), "dice": by_class, "mean_dice": overall, "pq": mean_pq(results)}
            validation = known.model_copy(update=figures)
            write_card(folder, package.card.model_copy(update={"validation": validation}))
