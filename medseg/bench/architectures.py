"""Compares architectures: each is trained for the same time on the same cases and measured on the same others."""

from __future__ import annotations

import hashlib
import json
import logging
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medseg.bench.architectures_config import Architecture, Architectures, merge
from medseg.bench.boundary_f1 import boundary_f1
from medseg.config.safe_json import parse_json
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.patient_groups import ready_to_split
from medseg.data.reading import read_case
from medseg.data.splits import split_cases
from medseg.errors import MedsegError, UsageError, did_you_mean
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.files.atomic import write_text
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage, write_package
from medseg.models.registry import find_family, network_of
from medseg.training.checkpoint import read_checkpoint
from medseg.training.config import TrainConfig
from medseg.training.device import choose_device
from medseg.training.samples.prepared import prepare_cases
from medseg.training.selection.validate import dice
from medseg.training.train import train_model
from medseg.training.training_run import TrainingRun
from medseg.types import Geometry

log = logging.getLogger("medseg.bench")

# Figures of a class: case id to value.
Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class ArchitectureResult:
    """Figures of one architecture, or why there are none.

    Parameters
    ----------
    parameters, steps : int
        Weights of the network, and training steps in the time given.
    seconds : float
        To segment one scan, median over cases: CPU seconds on a CPU, seconds by the clock on a GPU.
    dice, boundary_f1 : dict of str to dict of str to float
        By class and held-out case.
    """

    name: str
    failure: str = ""
    parameters: int = 0
    steps: int = 0
    seconds: float = float("nan")
    dice: Figures = field(default_factory=dict)
    boundary_f1: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What is fixed while architectures are compared.

    `work` gets a folder for each, with its run, its model and ``result.json``. Each is trained for so many seconds: CPU
    seconds on a CPU, seconds by the clock on a GPU.
    """

    architectures: Architectures
    data: Dataset
    work: Path
    seconds: float
    device: str = "auto"


def check_names(chosen: Architectures, only: Sequence[str]) -> None:
    """Refuse names of architectures that the configuration does not have."""
    names = [architecture.name for architecture in chosen.architectures]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise UsageError(
            "there is no such architecture",
            where=f"--only {unknown[0]}",
            fix=f"{did_you_mean(unknown[0], names)} There are: {', '.join(names)}.",
        )


def compare_architectures(comparison: Comparison, only: Sequence[str] = ()) -> list[ArchitectureResult]:
    """Train and measure the architectures, those that are named only, whose result is not there yet.

    Results of the others are taken where they are there. One that cannot be trained or measured says why in its result
    and stops no other.
    """
    check_names(comparison.architectures, only)
    results: list[ArchitectureResult] = []
    for architecture in comparison.architectures.architectures:
        config = comparison.architectures.configuration(architecture, comparison.seconds)
        key = _key(comparison, architecture, config)
        file = comparison.work / architecture.name / "result.json"
        known = _known(file, key)
        if known is None and only and architecture.name not in only:
            continue
        if known is None:
            log.info(
                "Training the architecture %s (%s) for %.0f s.",
                architecture.name,
                config.network.name,
                comparison.seconds,
            )
            known = _try(comparison, architecture, config)
            if not known.failure:
                write_text(file, json.dumps({"key": key, **asdict(known)}, indent=1) + "\n")
        results.append(known)
    return results


def _try(comparison: Comparison, architecture: Architecture, config: TrainConfig) -> ArchitectureResult:
    if architecture.needs and find_spec(architecture.needs) is None:
        return ArchitectureResult(architecture.name, f"{architecture.needs} is not installed")
    prepared = comparison.work / "prepared"
    try:
        data = ready_to_split(comparison.data, config.split.group)
        split = split_cases(data.labeled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
        # Before the clock starts: the network's imports, and preparation, which is done once for all architectures.
        find_family(config.network.name)
        prepare_cases(data, [case for case in data.labeled if case.case_id in split.train], config.input, prepared)
        folder = comparison.work / architecture.name
        device = choose_device(comparison.device)
        package = train_model(TrainingRun(data, config, folder, device, prepared_in=prepared, steps_only=True))
        held_out = [case for case in data.labeled if case.case_id in split.validation]
        return _measure(comparison, architecture, package, held_out)
    except MedsegError as error:
        log.warning("The architecture %s failed: %s", architecture.name, error)
        return ArchitectureResult(architecture.name, str(error))


def _measure(
    comparison: Comparison, architecture: Architecture, package: ModelPackage, held_out: Sequence[DatasetCase]
) -> ArchitectureResult:
    data, folder, device = comparison.data, comparison.work / architecture.name, comparison.device
    classes = comparison.architectures.classes or {c.name: (c.value,) for c in data.table}
    values: dict[str, Figures] = {"dice": {}, "boundary_f1": {}}
    taken: list[float] = []
    measured = _changed(package, architecture.measure, folder / "measured")
    for case, seconds, reference, predicted, geometry in _segment(measured, data, held_out, device):
        taken.append(seconds)
        for name, parts in classes.items():
            truth, found = np.isin(reference, parts), np.isin(predicted, parts)
            values["dice"].setdefault(name, {})[case.case_id] = dice(found, truth)
            values["boundary_f1"].setdefault(name, {})[case.case_id] = boundary_f1(
                truth, found, geometry, comparison.architectures.tolerance
            )
    if architecture.time:
        timed = _changed(package, architecture.time, folder / "timed")
        taken = [seconds for _, seconds, *_ in _segment(timed, data, held_out[:1], device)]
    return ArchitectureResult(
        architecture.name,
        parameters=_parameters(package.card),
        steps=int(read_checkpoint(folder / "checkpoint.pt")["step"]),
        seconds=statistics.median(taken),
        dice=values["dice"],
        boundary_f1=values["boundary_f1"],
    )


def _segment(
    package: ModelPackage, data: Dataset, cases: Sequence[DatasetCase], device: str
) -> Iterator[tuple[DatasetCase, float, Any, Any, Geometry]]:
    """Each case, the seconds its segmentation took, its reference and prediction as arrays, and their geometry."""
    predictor = Predictor(package, InferOptions(device=device, engine="torch"))
    clock = time.process_time if choose_device(device).type == "cpu" else time.perf_counter
    for case in cases:
        scan, reference = read_case(data, case)
        start = clock()
        predicted = predictor.segment(scan).labels
        seconds = clock() - start
        predicted.geometry.match(reference.geometry, what="prediction and reference")
        yield case, seconds, reference.array, predicted.array, reference.geometry


def _changed(package: ModelPackage, changes: Mapping[str, Any], folder: Path) -> ModelPackage:
    """The package under a card with changes, the weights the same; the package itself without changes."""
    if not changes:
        return package
    card = ModelCard.model_validate(merge(package.card.model_dump(mode="json"), changes))
    return write_package(folder, card, package.weights())


def _parameters(card: ModelCard) -> int:
    with torch.device("meta"):
        network = network_of(card)
    return sum(weight.numel() for weight in network.parameters())


def _known(path: Path, key: str) -> ArchitectureResult | None:
    if not path.is_file():
        return None
    content = parse_json(path.read_text(encoding="utf-8"))
    if content.pop("key") != key:
        return None
    return ArchitectureResult(**content)


def _key(comparison: Comparison, architecture: Architecture, config: TrainConfig) -> str:
    """Hash of everything an architecture's result depends on but the machine and the version of medseg."""
    content = {
        "cases": [case.case_id for case in comparison.data.labeled],
        "config": config.model_dump(mode="json"),
        "architecture": architecture.model_dump(mode="json"),
        "classes": comparison.architectures.classes,
        "tolerance": comparison.architectures.tolerance,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
