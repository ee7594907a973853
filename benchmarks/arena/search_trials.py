"""Trials of settings: an inner split of the cases to train on, successive halving over CPU seconds, and the choice.

Trials that are among the best third of their stage get three times the seconds, others stop: asynchronous successive
halving (Li et al. 2020, arXiv:1810.05934) by Optuna, whose database keeps every trial, so that a search that was
stopped resumes with the trial it was at. Needs `pip install optuna`.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import optuna
from search_space import (
    LEARNING_RATES,
    PLANNED,
    STAGES,
    STARTS,
    Settings,
    Trial,
    changed,
    choices,
    choose,
    overrides,
)

from medseg.data.reading import read_case
from medseg.data.splits import Split, fold_of
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.package import ModelPackage, write_package
from medseg.training.build import build_loop
from medseg.training.card import build_card
from medseg.training.samples.inputs import Inputs, gather
from medseg.training.selection.validate import dice
from medseg.training.training_run import TrainingRun

# Cases that trials are measured on, and the most of the training cases that these may be: one in so many.
MEASURED, ONE_IN, SPLIT_SEED = 8, 4, 1
# Overlap of windows where trials are measured: in a third of the time that the figures of a run take.
OVERLAP = 0.0
FACTOR = 3
# Drawn at random before the sampler learns from what was measured.
AT_RANDOM = 8


def search(run: TrainingRun, seconds: float, top: float) -> dict[str, Any]:
    """Search for so many seconds, or resume; no case that the run holds out is in any trial.

    `top`: seconds of the steps of the best trials.
    """
    folder = run.out / "search"
    folder.mkdir(parents=True, exist_ok=True)
    outer = gather(run)
    inner = inner_inputs(outer)
    study = _study(folder / "trials.sqlite", run.config.seed)
    while _spent(study) < seconds or not any(one.state.is_finished() for one in study.get_trials(deepcopy=False)):
        _try(study, outer, inner, folder, seconds, top)
    trials = [one for one in map(_trial, study.get_trials(deepcopy=False)) if one.dice]
    chosen, gain, error = choose(trials)
    return {
        "seconds": round(_spent(study), 1), "top_seconds": round(top, 1), "chosen": chosen.number,
        "settings": given(chosen.settings, outer), "gain": round(gain, 4), "standard_error": round(error, 4),
        "measured_on": [case.case_id for case in inner.held_out], "trials": [one.to_row() for one in trials],
    }  # fmt: skip


def inner_inputs(outer: Inputs) -> Inputs:
    """Split the cases that a run trains on once more, patients apart: those that it holds out are in neither part."""
    names = {case.case_id for case in outer.cases}
    pool = [replace(case, split=None, folds=()) for case in outer.run.dataset.labeled if case.case_id in names]
    folds = max(ONE_IN, round(len(pool) / MEASURED))
    assigned = fold_of(pool, folds=folds, seed=SPLIT_SEED)
    held_out = tuple(sorted(name for name, fold in assigned.items() if fold == 0))
    kept = tuple(sorted(names - set(held_out)))
    cases = tuple(case for case in outer.cases if case.case_id in kept)
    return Inputs(outer.run, Split(f"fold 0 of {folds} of the training cases", kept, held_out), cases, {})


def given(settings: Settings, outer: Inputs) -> list[str]:
    """What ``--set`` would be given for a trial."""
    strides = outer.run.config.network.arguments["strides"]
    multiple = [math.prod(axis) for axis in zip(*strides, strict=True)]
    largest = [round(median(case.shape[axis] for case in outer.cases)) for axis in range(len(multiple))]
    return overrides(settings, outer.run.config, multiple, largest)


def _study(database: Path, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=FACTOR)
    storage = f"sqlite:///{database}"
    known = optuna.create_study(study_name="search", storage=storage, direction="maximize", load_if_exists=True)
    # A sampler that begins anew draws other settings than it did before the search was stopped.
    sampler = optuna.samplers.TPESampler(seed=seed + len(known.trials), n_startup_trials=AT_RANDOM)
    study = optuna.load_study(study_name="search", storage=storage, sampler=sampler, pruner=pruner)
    if not study.trials:
        for start in STARTS:
            study.enqueue_trial(start.to_values())
    return study


def _spent(study: optuna.Study) -> float:
    return float(study.user_attrs.get("spent", 0.0))


def _try(study: optuna.Study, outer: Inputs, inner: Inputs, folder: Path, seconds: float, top: float) -> None:
    """Take a new trial, or the one that was stopped, as far as it goes; the plan's own goes to the top."""
    stopped = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    trial = optuna.Trial(study, stopped[0]._trial_id) if stopped else study.ask()
    for name, values in choices(outer.run.config).items():
        trial.suggest_categorical(name, values)
    trial.suggest_float("learning_rate", *LEARNING_RATES, log=True)
    settings = Settings.from_values(trial.params)
    known = study.get_trials(deepcopy=False)[trial.number]
    value = math.nan
    for stage in range(STAGES):
        name, resource = f"stage_{stage}", FACTOR**stage
        if name not in trial.user_attrs:
            began = time.monotonic()
            length = top * resource / FACTOR ** (STAGES - 1)
            steps, found = _to_stage(inner, folder / f"trial_{trial.number}", given(settings, outer), length)
            took = time.monotonic() - began
            study.set_user_attr("spent", _spent(study) + took)
            trial.set_user_attr(name, {"steps": steps, "dice": found, "seconds": took})
        value = mean(trial.user_attrs[name]["dice"].values())
        if resource not in known.intermediate_values:
            trial.report(value, resource)
        is_over = _spent(study) >= seconds or trial.should_prune()
        if is_over and stage < STAGES - 1 and settings != PLANNED:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return
    study.tell(trial, value)


def _to_stage(inner: Inputs, out: Path, changes: Sequence[str], seconds: float) -> tuple[int, dict[str, float]]:
    """Train a trial until it has had so many seconds of steps, or resume it there, and measure it."""
    out.mkdir(parents=True, exist_ok=True)
    run = inner.run
    config = changed(run.config, changes)
    config = config.model_copy(update={"time_budget": seconds, "epochs": None, "checkpoint_every": 60.0})
    inputs = replace(inner, run=replace(run, config=config, out=out))
    loop = build_loop(inputs)
    loop.run(lambda _record: None)
    package = write_package(out / "model", build_card(inputs, loop.elapsed, loop.step), loop.ema.state)
    found = _measured(package, inner)
    shutil.rmtree(out / "model")
    return loop.step, found


def _measured(package: ModelPackage, inner: Inputs) -> dict[str, float]:
    """Mean Dice over classes of each case the search holds out; 1 where nothing is there and nothing was found."""
    data = inner.run.dataset
    options = InferOptions(device=str(inner.run.device), engine="torch", overlap=OVERLAP)
    predictor, found = Predictor(package, options), {}
    for case in inner.held_out:
        scan, reference = read_case(data, case)
        predicted = predictor.segment(scan).labels.array
        each = [
            dice(predicted == entry.value, np.isin(reference.array, data.reference_values(entry.value)))
            for entry in data.table
        ]
        found[case.case_id] = mean(1.0 if math.isnan(one) else one for one in each)
    return found


def _trial(one: optuna.trial.FrozenTrial) -> Trial:
    stages = [one.user_attrs[name] for name in sorted(one.user_attrs) if name.startswith("stage_")]
    return Trial(
        one.number, Settings.from_values(one.params), tuple(stage["steps"] for stage in stages),
        sum(stage["seconds"] for stage in stages), tuple(stage["dice"] for stage in stages),
    )  # fmt: skip
