"""From a dataset to a model package: prepare, train, measure on held-out cases, write."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch
import yaml

from medseg.data.border import with_border
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.splits import split_cases, without
from medseg.engine.lock import exclusive
from medseg.infer.onnx_export import ensure_export
from medseg.io.atomic import sweep, write_text
from medseg.models.package import ModelPackage, write_package
from medseg.train.card import build_card, with_validation
from medseg.train.clean import blocked_cases
from medseg.train.config import TrainConfig
from medseg.train.device import choose_device
from medseg.train.record import RunRecord
from medseg.train.reserve import validation_seconds
from medseg.train.setup import build_loop, cases_to_train, check_fits
from medseg.train.validate import CaseDice, mean_dice, validate, write_validation

__all__ = ["train"]

log = logging.getLogger("medseg.train")


def train(
    dataset: Path,
    out: Path,
    config: TrainConfig,
    *,
    device: str = "auto",
    command: str = "",
    spent: float = 0.0,
    prepared: Path | None = None,
    measure: bool = True,
) -> ModelPackage:
    """Train a model, or go on with the run that `out` holds.

    Parameters
    ----------
    dataset : Path
        In any layout `read_dataset` knows.
    out : Path
        Gets ``model/`` (the package, with the network as ONNX where that can be written), ``checkpoint.pt``,
        ``config.yaml``, ``split.json``, ``history.csv``, ``validation.csv``, ``prepared/`` and the run's record.
    config : TrainConfig
        What to do.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    command : str
        The command line, for the card.
    spent : float
        Seconds of the time budget gone before this call.
    prepared : Path, optional
        Where prepared cases are kept, to share them among runs; by default ``out/prepared``.
    measure : bool
        Whether to measure the package on the held-out cases; without, the caller does.

    Returns
    -------
    ModelPackage
        In ``out/model``.

    Raises
    ------
    InputError
        When no case can be trained on.
    ConfigError
        When `out` holds a run of another configuration.
    Interrupted
        When a signal asked to stop; the same call goes on from there.
    """
    began = time.monotonic() - spent
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(exclusive(out, "train"))
        sweep(out)
        chosen = choose_device(device)
        data = read_dataset(dataset, config.dataset)
        if config.border_mm is not None:
            data = with_border(data, config.border_mm)
        check_fits(data, config)
        split = split_cases(data.labelled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
        blocked = blocked_cases(data, split, out)
        split = without(split, blocked)
        cases, left_out = cases_to_train(data, split, config, prepared or out / "prepared", blocked)

        loop = build_loop(data, cases, config, chosen, out)
        # Only now is it sure that the folder holds no run of another configuration.
        write_text(out / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        write_text(out / "split.json", json.dumps({**asdict(split), "left_out": left_out}, indent=1) + "\n")
        held_out = [case for case in data.labelled if case.case_id in split.validation] if measure else []
        with RunRecord(data, split, config, out, loop) as record:
            reserve = time.monotonic() - began + validation_seconds(loop, len(held_out), cases)
            loop.run(record.epoch, reserve=reserve)
            card = build_card(data, cases, split, config, command, loop.elapsed, loop.step)
            package = write_package(out / "model", card, loop.ema.state)
            results = _validate(package, data, held_out, chosen, out) if measure else []
            if results:
                card = with_validation(package.card, split, results, cases)
                package = write_package(out / "model", card, loop.ema.state)
            # Beside the weights, so that whoever gets the package need not have PyTorch make it.
            ensure_export(package, package.folder)
            record.finish(package, results)
    return package


def _validate(
    package: ModelPackage, data: Dataset, held_out: Sequence[DatasetCase], device: torch.device, out: Path
) -> list[CaseDice]:
    if not held_out:
        log.warning("no case is held out; the model card will hold no figure")
        return []
    log.info("measuring on %d held-out cases", len(held_out))
    results = list(validate(package, data, held_out, device=str(device)))
    write_validation(out / "validation.csv", results)
    by_class, overall = mean_dice(results)
    log.info("mean Dice %.4f (%s)", overall, ", ".join(f"{name} {value:.4f}" for name, value in by_class.items()))
    return results
