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
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.data.splits import split_cases
from medseg.errors import MedsegError, UsageError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.files.atomic import write_text
from medseg.models.card import ModelCard
from medseg.models.package import ModelPackage, write_package
from medseg.models.registry import build_network, find_family
from medseg.training.checkpoint import read_checkpoint
from medseg.training.config import TrainConfig
from medseg.training.device import choose_device
from medseg.training.samples.prepared import prepare_cases
from medseg.training.selection.validate import dice
from medseg.training.train import train
from medseg.types import Geometry

__all__ = ["RungResult", "climb"]

log = logging.getLogger("medseg.bench")

# Figures of a class: case id to value.
Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class RungResult:
    """What came of one architecture.

    Parameters
    ----------
    name : str
        The architecture's.
    failure : str
        Why there is no result; empty where there is one.
    parameters, steps : int
        Weights of the network, and training steps the time allowed.
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


def climb(
    dataset: Path,
    architectures: Architectures,
    work: Path,
    *,
    seconds: float,
    device: str = "auto",
    only: Sequence[str] = (),
) -> list[RungResult]:
    """Train and measure the architectures that have not been yet.

    Parameters
    ----------
    dataset : Path
        In any layout `read_dataset` knows.
    architectures : Architectures
        What to compare.
    work : Path
        Gets a folder for each architecture, with its run, its model and ``result.json``; one whose result is there,
        made in the same way, is not run again.
    seconds : float
        Training time of each architecture: CPU seconds on a CPU, seconds by the clock on a GPU.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    only : sequence of str
        Names of the architectures to run; empty for all. Results of the others are taken where they are there.

    Returns
    -------
    list of RungResult
        In the architectures' order. One that cannot be trained or measured says why in its result and
        stops no other.

    Raises
    ------
    UsageError
        When `only` names an architecture there is not.
    """
    names = [architecture.name for architecture in architectures.architectures]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise UsageError(
            f"there is no architecture '{unknown[0]}'", where="--only", fix=f"There are: {', '.join(names)}."
        )
    data = read_dataset(dataset)
    results: list[RungResult] = []
    for architecture in architectures.architectures:
        config = architectures.configuration(architecture, seconds)
        key = _key(data, architecture, config, architectures)
        folder = work / architecture.name
        known = _known(folder / "result.json", key)
        if known is None and only and architecture.name not in only:
            continue
        if known is None:
            log.info("architecture %s: %s for %.0f s", architecture.name, config.network.name, seconds)
            known = _try(architecture, data, dataset, config, architectures, folder, work / "prepared", device)
            text = json.dumps({"key": key, **asdict(known)}, indent=1)
            if not known.failure:
                write_text(folder / "result.json", text + "\n")
        results.append(known)
    return results


def _try(
    architecture: Architecture,
    data: Dataset,
    dataset: Path,
    config: TrainConfig,
    architectures: Architectures,
    folder: Path,
    prepared: Path,
    device: str,
) -> RungResult:
    if architecture.needs and find_spec(architecture.needs) is None:
        return RungResult(architecture.name, f"{architecture.needs} is not installed")
    try:
        split = split_cases(data.labeled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
        # Before the clock starts: the network's imports, and preparation, which is done once for all architectures.
        find_family(config.network.name)
        prepare_cases(data, [case for case in data.labeled if case.case_id in split.train], config.input, prepared)
        package = train(dataset, folder, config, device=device, prepared=prepared, compared=True)
        held_out = [case for case in data.labeled if case.case_id in split.validation]
        return _measure(architecture, package, data, held_out, architectures, folder, device)
    except MedsegError as error:
        log.warning("architecture %s failed: %s", architecture.name, error)
        return RungResult(architecture.name, str(error))


def _measure(
    architecture: Architecture,
    package: ModelPackage,
    data: Dataset,
    held_out: Sequence[DatasetCase],
    architectures: Architectures,
    folder: Path,
    device: str,
) -> RungResult:
    classes = architectures.classes or {c.name: (c.value,) for c in data.table}
    values: dict[str, Figures] = {"dice": {}, "boundary_f1": {}}
    taken: list[float] = []
    measured = _changed(package, architecture.measure, folder / "measured")
    for case, seconds, reference, predicted, geometry in _segment(measured, data, held_out, device):
        taken.append(seconds)
        for name, members in classes.items():
            masks = [np.isin(array, members) for array in (reference, predicted)]
            values["dice"].setdefault(name, {})[case.case_id] = dice(masks[1], masks[0])
            values["boundary_f1"].setdefault(name, {})[case.case_id] = boundary_f1(
                masks[0], masks[1], geometry, architectures.tolerance
            )
    if architecture.time:
        timed = _changed(package, architecture.time, folder / "timed")
        taken = [seconds for _, seconds, *_ in _segment(timed, data, held_out[:1], device)]
    return RungResult(
        architecture.name,
        parameters=_parameters(package.card),
        steps=_steps(folder),
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
        network = build_network(
            card.network.name,
            channels=card.channels,
            classes=len(card.classes) + 1,
            dimensions=card.network.dimensions,
            arguments=card.network.arguments,
        )
    return sum(weight.numel() for weight in network.parameters())


def _steps(folder: Path) -> int:
    return int(read_checkpoint(folder / "checkpoint.pt")["step"])


def _known(path: Path, key: str) -> RungResult | None:
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("key") != key:
        return None
    return RungResult(**content)


def _key(data: Dataset, architecture: Architecture, config: TrainConfig, architectures: Architectures) -> str:
    """Hash of everything an architecture's result depends on but the machine and the version of medseg."""
    told = {
        "cases": [case.case_id for case in data.labeled],
        "config": config.model_dump(mode="json"),
        "architecture": architecture.model_dump(mode="json"),
        "classes": architectures.classes,
        "tolerance": architectures.tolerance,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
