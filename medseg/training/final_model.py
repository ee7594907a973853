"""Makes the package of a cross-validated run: trained anew on all cases, or the folds' models together."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medseg.infer.engines.onnx_export import ensure_export
from medseg.models.card import ModelCard, PostCard, ValidationCard
from medseg.models.package import ModelPackage, load_package, write_package
from medseg.training.config import TrainConfig
from medseg.training.distributed import Processes
from medseg.training.samples.cascade import FirstStage
from medseg.training.train import train

__all__ = ["Final", "ensemble_of", "final_package"]

log = logging.getLogger("medseg.train")

Final = Literal["all", "ensemble"]
Ranges = tuple[tuple[float, float, float], tuple[float, float, float]]


def final_package(
    dataset: Path,
    out: Path,
    config: TrainConfig,
    folds: Sequence[Path],
    *,
    kind: Final,
    validation: ValidationCard,
    post: tuple[PostCard, ...],
    prepared: Path,
    share: float | None,
    device: str,
    command: str,
    processes: Processes,
) -> ModelPackage:
    """Make ``out/model``.

    Parameters
    ----------
    dataset, out, config, device, command, processes
        Of the cross-validated run.
    folds : sequence of Path
        Folders of its folds' runs.
    kind : {"all", "ensemble"}
        One more training on all cases, or the folds' models, whose scores are averaged: no training, and as many times
        the cost of a scan as there are folds.
    validation : ValidationCard
        What the folds measured, for the card.
    post : tuple of PostCard
        Clean-up for the card, where the configuration says nothing of it.
    prepared : Path
        Where prepared cases are kept.
    share : float, optional
        Seconds of the time budget for the training.
    """
    if kind == "all":
        log.info("training on all cases")
        split = config.split.model_copy(update={"folds": 1, "fold": 0})
        chosen = config.model_copy(update={"split": split, "time_budget": share})
        package = train(dataset, out, chosen, device=device, command=command, prepared=prepared)
        if processes.is_first:
            card = package.card.model_copy(update={"validation": validation, "post": package.card.post or post})
            package = write_package(package.folder, card, package.weights())
    elif processes.is_first:
        first = None if config.low_resolution_stage is None else FirstStage(Path(config.low_resolution_stage))
        package = ensemble_of(folds, out / "model", command=command, first=first)
        card = package.card.model_copy(update={"validation": validation, "post": package.card.post or post})
        package = write_package(package.folder, card, package.weights())
        ensure_export(package, package.folder)
    processes.wait()
    return load_package(out / "model")


def ensemble_of(folds: Sequence[Path], folder: Path, *, command: str, first: FirstStage | None = None) -> ModelPackage:
    """Write a package whose members are the folds' models.

    Parameters
    ----------
    folds : sequence of Path
        Folders of runs of one configuration.
    folder : Path
        Of the package.
    command : str
        The command line, for the card.
    first : FirstStage, optional
        In a cascade, whose model of all cases goes into the package.
    """
    packages = [load_package(fold / "model") for fold in folds]
    splits = [json.loads((fold / "split.json").read_text(encoding="utf-8")) for fold in folds]
    seen = {case for split in splits for case in split["train"]}
    cards = [package.card for package in packages]
    own = cards[0].training
    training = own.model_copy(
        update={
            "cases": len(seen),
            "command": command,
            "duration": f"{len(folds)} models, each on the cases of the other folds; the first: {own.duration}",
            "held_out": (),
        }
    )
    card = cards[0].model_copy(
        update={
            "ensemble_members": len(folds),
            "input": cards[0].input.model_copy(update=_widest(cards)),
            "training": training,
            "validation": None,
            "precisions": {},
            "low_resolution_stage": None,
        }
    )
    if first is not None:
        card = first.embed(card, folder, ())
    weights = {f"{k}.{name}": value for k, package in enumerate(packages) for name, value in package.weights().items()}
    return write_package(folder, card, weights)


def _widest(cards: Sequence[ModelCard]) -> dict[str, Ranges]:
    """Ranges of scans that take in those of every member."""
    found: dict[str, Ranges] = {}
    for key in ("expected_extent_mm", "expected_spacing"):
        ranges = [value for card in cards if (value := getattr(card.input, key)) is not None]
        if ranges:
            low = tuple(min(column) for column in zip(*(r[0] for r in ranges), strict=True))
            high = tuple(max(column) for column in zip(*(r[1] for r in ranges), strict=True))
            found[key] = ((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    return found
