"""Trains a model: prepare, train, validate on held-out cases, write the package."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import yaml

from medseg.data.dataset import DatasetCase
from medseg.infer.engines.onnx_export import ensure_export
from medseg.io.files.atomic import atomic_folder, write_text
from medseg.io.files.leftovers import sweep
from medseg.io.files.lock import exclusive
from medseg.models.package import (
    CARD_FILE,
    ModelPackage,
    load_package,
    weights_content,
    write_card,
    write_package,
)
from medseg.progress import step_bar
from medseg.training.build import build_loop
from medseg.training.card import build_card, with_validation
from medseg.training.click_validation import click_validation_seconds, validate_clicks, with_click_validation
from medseg.training.final_test import measure_test
from medseg.training.loop import Loop
from medseg.training.measure_held_out import measure_held_out
from medseg.training.run_record import RunRecord
from medseg.training.run_report import Measured
from medseg.training.samples.inputs import Inputs, gather
from medseg.training.selection.held_out_volumes import VOLUMES_FILE
from medseg.training.selection.temperature import MOST_CASES, calibrated
from medseg.training.selection.validate import CaseDice, write_validation
from medseg.training.selection.worst_cases import WorstCases
from medseg.training.time_left import (
    FOR_MEASURING,
    cases_to_measure,
    check_epoch_done,
    check_time_left,
    seconds_a_step,
    validation_seconds,
)
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")
PACKAGE = "model"


def train_model(run: TrainingRun) -> ModelPackage:
    """Train a model, or resume the run that the folder holds; the package is ``model/`` in it.

    Stopped by a signal, it raises `Interrupted` and the same call resumes; of a run that has come to its end it returns
    the model. The package is there when all has been measured. The folder also gets ``checkpoint.pt``, ``config.yaml``,
    ``split.json``, ``history.csv``, ``validation.csv``, ``test.csv``, ``prepared/`` and ``report.html``.
    """
    started = time.monotonic() if run.started is None else run.started
    with ExitStack() as stack:
        with run.processes.in_turn():
            if run.processes.is_first:
                run.out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(exclusive(run.out, "train"))
                sweep(run.out)
            inputs = gather(run)
        loop = build_loop(inputs)
        if (made := _made(run, loop)) is not None:
            log.info("This training came to its end before; its model is %s.", made.folder)
            return made
        if not run.processes.is_first:
            if not run.steps_only:
                took = seconds_a_step(loop)
                loop.reserve(0.0)
                check_time_left(loop, took, 0.0, 0.0)
            loop.run(lambda _record: None)
            if not run.steps_only:
                check_epoch_done(loop)
            run.processes.wait()
            return load_package(run.out / PACKAGE)
        # Only now is it sure that the folder holds no run of another configuration.
        write_text(run.out / "config.yaml", yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False))
        split = {**asdict(inputs.split), "skipped": inputs.skipped}
        write_text(run.out / "split.json", json.dumps(split, indent=1) + "\n")
        if not loop.finished:
            for file in ("validation.csv", "test.csv", VOLUMES_FILE):  # of a shorter part of this run
                (run.out / file).unlink(missing_ok=True)
        with RunRecord(inputs, loop) as record:
            if not run.steps_only:
                took = seconds_a_step(loop)
                before = time.monotonic() - started
                measured, after = _measured_after(inputs, loop, took, before)
                loop.reserve(before + after)
                check_time_left(loop, took, before, after)
            with step_bar(run.name) as advance:
                loop.run(record.epoch, on_step=advance)
            if not run.steps_only:
                check_epoch_done(loop)
            worst = WorstCases()
            results: list[CaseDice] = []
            test: list[CaseDice] = []
            with atomic_folder(run.out / PACKAGE) as folder:
                package = _packed(inputs, loop, folder)
                if run.config.interactive is not None:
                    package, results = _clicked(inputs, package)
                elif not run.steps_only:
                    package = calibrated(package, inputs, measured)
                    results = _validated(inputs, package, measured, worst)
                    if results:
                        package = write_package(folder, with_validation(package.card, inputs, results), loop.ema.state)
                    package, test = measure_test(package, inputs)
                if not run.steps_only:
                    # Beside the weights, so that nobody who uses the package needs PyTorch to export it.
                    ensure_export(package, folder)
                record.finish(package, Measured(package.card, results, worst, test))
        run.processes.wait()
    return load_package(run.out / PACKAGE)


def _measured_after(inputs: Inputs, loop: Loop, took: float, before: float) -> tuple[tuple[DatasetCase, ...], float]:
    """Held-out cases to measure when the steps are done, and roughly how long that will take.

    - `took`: seconds of a step. `before`: seconds of the budget spent on preparing.
    """
    budget, held_out = loop.config.time_budget, inputs.held_out
    if budget is None:
        return held_out, 0.0
    if inputs.run.config.interactive is not None:
        return held_out, click_validation_seconds(loop, took, len(held_out), len(inputs.run.dataset.table))

    def seconds(count: int) -> float:
        # Some are segmented twice, the first time for the temperature; and all in each ensemble with another model.
        segmented = count * (1 + inputs.run.ensembles) + min(count, 2 * MOST_CASES) + len(inputs.test)
        return validation_seconds(loop, took, segmented, inputs.cases)

    # Folds are compared by all of their cases.
    most = math.inf if inputs.run.compares_cleanup else FOR_MEASURING * (budget - before)
    measured = cases_to_measure(held_out, seconds, most)
    if len(measured) < len(held_out):
        log.warning(
            "%d of %d held-out cases are measured, as all would take %.0f seconds of the time budget.",
            *(len(measured), len(held_out), seconds(len(held_out))),
        )
    return measured, seconds(len(measured))


def _clicked(inputs: Inputs, package: ModelPackage) -> tuple[ModelPackage, list[CaseDice]]:
    """Measure the held-out cases by simulated clicks."""
    run, card = inputs.run, package.card
    if not inputs.held_out:
        log.warning("No case is held out (%s), so the model card has no Dice.", inputs.split.name)
        write_validation(run.out / "validation.csv", [])
        return package, []
    log.info("Clicking on %d held-out cases.", len(inputs.held_out))
    names = {own.name: shown.name for own, shown in zip(run.dataset.table, card.classes, strict=True)}
    found = validate_clicks(package, run.dataset, inputs.held_out, names, device=str(run.device))
    package = write_card(package.folder, with_click_validation(card, inputs, found))
    results = [one.to_case(list(names.values())) for one in found]
    write_validation(run.out / "validation.csv", results)
    measured = package.card.interactive
    for start, curve in ({} if measured is None else measured.dice).items():
        shown = ", ".join(f"{value:.4f} after {number}" for number, value in curve.items())
        log.info("Mean Dice by simulated clicks (%s): %s.", start.replace("_", " "), shown)
    return package, results


def _made(run: TrainingRun, loop: Loop) -> ModelPackage | None:
    """Return the package that this very run made when it came to its end, None where it did not."""
    folder = run.out / PACKAGE
    if not loop.finished or run.processes.count > 1 or run.compares_cleanup or not (folder / CARD_FILE).is_file():
        return None
    package = load_package(folder)
    # A longer run in the same folder has other weights, and a package that was being measured is not there yet.
    is_own = package.card.weights_sha256 == hashlib.sha256(weights_content(loop.ema.state)).hexdigest()
    return package if is_own else None


def _packed(inputs: Inputs, loop: Loop, folder: Path) -> ModelPackage:
    card = build_card(inputs, loop.elapsed, loop.step, loop.extra.get("run_id"))
    if inputs.low_resolution is not None:
        card = inputs.low_resolution.embed(card, folder, inputs.split.validation)
    return write_package(folder, card, loop.ema.state)


def _validated(
    inputs: Inputs, package: ModelPackage, cases: Sequence[DatasetCase], worst: WorstCases
) -> list[CaseDice]:
    """Dice of each held-out case, and beside the run what each clean-up would make of it where that is asked for."""
    if not cases:
        log.warning("No case is held out (%s), so the model card has no Dice.", inputs.split.name)
    return measure_held_out(inputs.run, package, cases, (worst.add,))
