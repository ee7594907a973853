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

from medseg.data.dataset import Dataset, DatasetCase
from medseg.infer.engines.onnx_export import ensure_export
from medseg.io.files.atomic import sweep, write_text
from medseg.io.files.lock import exclusive
from medseg.models.package import ModelPackage, load_package, write_package
from medseg.progress import step_bar
from medseg.training.build import build_loop
from medseg.training.card import build_card, with_validation
from medseg.training.config import TrainConfig
from medseg.training.device import choose_device
from medseg.training.distributed import joined
from medseg.training.reserve import validation_seconds
from medseg.training.run_record import RunRecord
from medseg.training.samples.inputs import Material, gather
from medseg.training.selection.post_choice import RuleTable, write_rule_dice
from medseg.training.selection.validate import CaseDice, Watcher, mean_dice, validate, write_validation
from medseg.training.selection.worst_cases import WorstCases

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
    compared: bool = False,
    weigh_post: bool = False,
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
    compared : bool
        Whether the caller compares runs, and measures them: the time budget is then that of the steps alone, on a
        CPU in its own seconds, so that a busy machine is fair to all; the network is not written as ONNX.
    weigh_post : bool
        Whether to leave ``post_rules.csv``, with what each clean-up would make of the held-out cases.

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
    chosen = choose_device(device)
    with joined(gpu=chosen.type == "cuda") as processes, ExitStack() as stack:
        chosen = processes.device(chosen)
        with processes.in_turn():
            if processes.is_first:
                out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(exclusive(out, "train"))
                sweep(out)
            material = gather(dataset, config, out, prepared or out / "prepared")
        clock = time.process_time if compared and chosen.type == "cpu" else time.monotonic
        loop = build_loop(material, config, chosen, out, processes, clock)
        if not processes.is_first:
            loop.run(lambda _record: None)
            processes.wait()
            return load_package(out / "model")
        # Only now is it sure that the folder holds no run of another configuration.
        write_text(out / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        split = {**asdict(material.split), "skipped": material.skipped}
        write_text(out / "split.json", json.dumps(split, indent=1) + "\n")
        held_out = () if compared else material.held_out
        with RunRecord(material, config, out, loop) as record:
            reserve = 0.0
            if not compared:
                reserve = time.monotonic() - began + validation_seconds(loop, len(held_out), material.cases)
            with step_bar(config.name) as advance:
                loop.run(record.epoch, on_step=advance, reserve=reserve)
            card = build_card(material, config, command, loop.elapsed, loop.step)
            if material.first is not None:
                card = material.first.embed(card, out / "model", material.split.validation)
            package = write_package(out / "model", card, loop.ema.state)
            worst, rules = WorstCases(), RuleTable(material.data.ignore_label)
            watch = (worst.see, rules.see) if weigh_post and _post_is_open(material, config) else (worst.see,)
            results = [] if compared else _validate(package, material.data, held_out, chosen, out, watch)
            if rules.cases:
                write_rule_dice(out / "post_rules.csv", rules.cases)
            if results:
                card = with_validation(package.card, material, results)
                package = write_package(out / "model", card, loop.ema.state)
            # Beside the weights, so that whoever gets the package need not have PyTorch make it.
            if not compared:
                ensure_export(package, package.folder)
            record.finish(package, results, worst)
        processes.wait()
    return package


def _post_is_open(material: Material, config: TrainConfig) -> bool:
    """Whether nothing is said of post-processing, and classes exclude each other, so that each can be cleaned alone."""
    return not (config.post or material.data.regions or material.data.border_mm is not None)


def _validate(
    package: ModelPackage,
    data: Dataset,
    held_out: Sequence[DatasetCase],
    device: torch.device,
    out: Path,
    watch: Sequence[Watcher],
) -> list[CaseDice]:
    if not held_out:
        log.warning("no case is held out; the model card will hold no figure")
        return []
    log.info("measuring on %d held-out cases", len(held_out))
    results = list(validate(package, data, held_out, device=str(device), watch=watch))
    write_validation(out / "validation.csv", results)
    by_class, overall = mean_dice(results)
    log.info("mean Dice %.4f (%s)", overall, ", ".join(f"{name} {value:.4f}" for name, value in by_class.items()))
    return results
