"""From a dataset to a model package: prepare, train, measure on held-out cases, write."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import torch
import yaml
from torch import nn

from medseg.data.border import with_border
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.splits import Split, split_cases, without
from medseg.engine.lock import exclusive
from medseg.engine.versions import versions
from medseg.errors import ConfigError, InputError, Interrupted
from medseg.io.atomic import sweep, write_text
from medseg.models.package import ModelPackage, write_package
from medseg.models.registry import build_network, load_pretrained
from medseg.train.augment import Augmentation
from medseg.train.card import build_card, with_validation
from medseg.train.clean import blocked_cases
from medseg.train.config import TrainConfig
from medseg.train.device import choose_device, choose_dtype, memory_format
from medseg.train.history import History
from medseg.train.loop import EpochRecord, Loop
from medseg.train.patches import Patches
from medseg.train.prepared import IGNORED, PreparedCase, prepare_cases
from medseg.train.start import load_start
from medseg.train.tracking import Tracker
from medseg.train.validate import CaseDice, mean_dice, validate, write_validation

__all__ = ["train"]

log = logging.getLogger("medseg.train")

# What a forward pass on one patch costs is measured this often, to keep time for the validation.
WARM_UP_PASSES = 3


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
        Gets ``model/`` (the package), ``checkpoint.pt``, ``config.yaml``, ``split.json``, ``history.csv``,
        ``validation.csv``, ``prepared/`` and the run's record.
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
        data = read_dataset(dataset)
        if config.border_mm is not None:
            data = with_border(data, config.border_mm)
        _check(data, config)
        split = split_cases(data.labelled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
        blocked = blocked_cases(data, split, out)
        split = without(split, blocked)
        cases, left_out = _prepare(data, split, config, prepared or out / "prepared", blocked)

        loop = _build_loop(data, cases, config, chosen, out)
        # Only now is it sure that the folder holds no run of another configuration.
        write_text(out / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        write_text(out / "split.json", json.dumps({**asdict(split), "left_out": left_out}, indent=1) + "\n")
        history = History(out / "history.csv", loop.step)
        tracker = _track(data, split, config, out, loop) if config.tracking else None
        held_out = [case for case in data.labelled if case.case_id in split.validation] if measure else []

        def on_epoch(record: EpochRecord) -> None:
            history.add(record)
            _say(record, loop)
            if tracker is not None:
                tracker.log(record.metrics, record.epoch)

        try:
            reserve = time.monotonic() - began + _validation_seconds(loop, held_out, cases)
            loop.run(on_epoch, reserve=reserve)
            package = write_package(
                out / "model", build_card(data, cases, split, config, command, loop.elapsed, loop.step), loop.ema.state
            )
            results = _validate(package, data, held_out, chosen, out) if measure else []
            if results:
                package = write_package(
                    out / "model", with_validation(package.card, split, results, cases), loop.ema.state
                )
        except (Interrupted, KeyboardInterrupt):
            if tracker is not None:
                tracker.end("KILLED")
            raise
        except BaseException:
            if tracker is not None:
                tracker.end("FAILED")
            raise
        if tracker is not None:
            if results:
                by_class, overall = mean_dice(results)
                named = {f"dice.{_metric_name(name)}": value for name, value in by_class.items()}
                tracker.log({**named, "dice.mean": overall}, loop.step // config.iterations_per_epoch)
            tracker.keep(out / "config.yaml")
            tracker.keep(package.folder / "model.yaml", "model")
            tracker.end()
    return package


def _check(data: Dataset, config: TrainConfig) -> None:
    if len(config.input.channels) != len(data.channels):
        raise ConfigError(
            f"{len(config.input.channels)} channels in the configuration, {len(data.channels)} in the dataset",
            where="input.channels",
        )
    unknown = sorted(set(config.classes) - {c.name for c in data.table})
    if unknown:
        raise ConfigError(
            f"the dataset has no class '{unknown[0]}'",
            where="classes",
            fix=f"It has {', '.join(c.name for c in data.table)}.",
        )


def _prepare(
    data: Dataset, split: Split, config: TrainConfig, folder: Path, blocked: dict[str, str]
) -> tuple[list[PreparedCase], dict[str, str]]:
    """Cases to train on, prepared, and why others of the dataset are not."""
    wanted = [case for case in data.labelled if case.case_id in split.train]
    log.info("preparing %d cases; %d more are held out (%s)", len(wanted), len(split.validation), split.name)
    cases, failed = prepare_cases(data, wanted, config.input, folder)
    left_out = {**blocked, **failed}
    if not cases:
        first = next(iter(left_out.values()), "there is no labelled case")
        raise InputError(f"no case can be trained on; the first: {first}", where=data.folder)
    return cases, left_out


def _build_loop(
    data: Dataset, cases: Sequence[PreparedCase], config: TrainConfig, device: torch.device, out: Path
) -> Loop:
    classes = len(data.table) + 1
    torch.manual_seed(config.seed)
    network = build_network(
        config.network.name,
        channels=len(data.channels),
        classes=classes,
        dimensions=config.network.dimensions,
        arguments=config.network.arguments,
    )
    _check_patch(network, config)
    if not (out / "checkpoint.pt").is_file():
        load_pretrained(network)
        if config.start is not None:
            load_start(network, config.start, classes=classes)
    network = network.to(device=device, memory_format=memory_format(config.network.dimensions))  # type: ignore[call-overload]
    patches = Patches(
        cases,
        patch=config.input.patch,
        margin=config.sampling.margin,
        foreground=config.sampling.foreground,
        batch=config.sampling.batch,
        seed=config.seed,
    )
    augmentation = Augmentation(
        config.augment, patch=config.input.patch, spacing=_spacing(config, cases), classes=classes, seed=config.seed
    )
    loop = Loop(
        config,
        network,
        patches,
        augmentation,
        dtype=choose_dtype(config.precision, device),
        checkpoint=out / "checkpoint.pt",
        ignore=IGNORED if data.ignore_label is not None else None,
    )
    if loop.resumed:
        log.info("going on from step %d", loop.step)
    return loop


def _check_patch(network: nn.Module, config: TrainConfig) -> None:
    multiple: tuple[int, ...] = network.multiple  # type: ignore[assignment]
    patch = config.input.patch[: len(multiple)]
    if any(n % m for n, m in zip(patch, multiple, strict=True)):
        fitting = [math.ceil(n / m) * m for n, m in zip(patch, multiple, strict=True)]
        raise ConfigError(
            f"a patch of {list(patch)} voxels does not fit the network, which needs multiples of {list(multiple)}",
            where="input.patch",
            fix=f"Use {fitting}.",
        )


def _spacing(config: TrainConfig, cases: Sequence[PreparedCase]) -> tuple[float, float, float]:
    """Spacing the network sees: the configured one, or where that is left open the first case's."""
    x, y, z = config.input.spacing or (None, None, None)
    own = cases[0].facts.spacing
    return x or own[0], y or own[1], z or own[2]


def _track(data: Dataset, split: Split, config: TrainConfig, out: Path, loop: Loop) -> Tracker:
    tracker = Tracker(
        out,
        name=f"train {config.name}",
        parameters=config.as_parameters(),
        tags={
            "verb": "train",
            "dataset": data.name,
            "layout": data.layout,
            "split": split.name,
            "cases": str(len(split.train)),
            "device": str(loop.device),
            **versions(),
        },
        run_id=loop.extra.get("run_id"),
    )
    loop.extra["run_id"] = tracker.run_id
    return tracker


def _validation_seconds(loop: Loop, held_out: Sequence[DatasetCase], cases: Sequence[PreparedCase]) -> float:
    """Roughly how long validation will take: forward passes over as many windows as the training cases need."""
    if loop.config.time_budget is None or not held_out or loop.finished:
        return 0.0
    patch = loop.config.input.patch
    shape = patch[: loop.config.network.dimensions]
    image = torch.zeros(1, len(loop.config.input.channels), *shape, device=loop.device)
    loop.network.eval()
    with torch.inference_mode():
        seconds = []
        for _ in range(WARM_UP_PASSES):
            before = time.monotonic()
            loop.network(image)
            seconds.append(time.monotonic() - before)
    windows = sum(
        math.prod(max(1, math.ceil((n - p) / (p / 2)) + 1) for n, p in zip(case.shape, patch, strict=True))
        for case in cases
    )
    return 1.5 * min(seconds) * windows / len(cases) * len(held_out)


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


def _say(record: EpochRecord, loop: Loop) -> None:
    done = loop.bounds.progress(record.step, loop.elapsed)
    left = loop.elapsed * (1 - done) / done if done > 0 else math.inf
    log.info(
        "epoch %d: loss %.4f, %.2f steps/s, %.0f%% done, %s left",
        record.epoch,
        record.metrics["loss"],
        record.metrics["steps_per_second"],
        100 * min(done, 1.0),
        _clock(left),
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits, underscores, dashes, periods, spaces and slashes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
