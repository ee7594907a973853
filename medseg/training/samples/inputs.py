"""What a run trains on and is measured with: the dataset as it is read, its split, its cases prepared."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from medseg.data.border_class import with_border
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.paired import paired_classes
from medseg.data.splits import Split, split_cases, without
from medseg.errors import ConfigError, InputError
from medseg.training.audit_run import blocked_cases
from medseg.training.config import TrainConfig
from medseg.training.samples.cascade import FirstStage
from medseg.training.samples.prepared import PreparedCase, prepare_cases

__all__ = ["Material", "gather"]

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class Material:
    """Of one run.

    Parameters
    ----------
    data : Dataset
        The dataset.
    split : Split
        Clean cases to train on and to hold out.
    cases : tuple of PreparedCase
        Those to train on that could be prepared.
    skipped : dict of str to str
        Why others are not used.
    first : FirstStage, optional
        In a cascade, what labels cases beforehand.
    """

    data: Dataset
    split: Split
    cases: tuple[PreparedCase, ...]
    skipped: dict[str, str]
    first: FirstStage | None = None

    @property
    def held_out(self) -> tuple[DatasetCase, ...]:
        """Cases to measure with."""
        return tuple(case for case in self.data.labeled if case.case_id in self.split.validation)


def gather(dataset: Path, config: TrainConfig, out: Path, prepared: Path) -> Material:
    """Read, audit, split and prepare.

    Parameters
    ----------
    dataset, config, out
        Of the run.
    prepared : Path
        Where prepared cases are kept.

    Raises
    ------
    ConfigError
        When the configuration is for other channels or classes than the dataset has, or confuses left and right.
    InputError
        When no case can be trained on.
    """
    data = read_dataset(dataset, config.dataset)
    if config.border_mm is not None:
        data = with_border(data, config.border_mm)
    _check_fits(data, config)
    split = split_cases(data.labeled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
    blocked = blocked_cases(data, split, out)
    split = without(split, blocked)
    first = None if config.low_resolution_stage is None else FirstStage(Path(config.low_resolution_stage))
    if first is not None:
        first.package_for(split.validation)
    cases, skipped = _prepared(data, split, config, prepared, blocked, first)
    return Material(data, split, tuple(cases), skipped, first)


def _check_fits(data: Dataset, config: TrainConfig) -> None:
    """Refuse a configuration for other channels or classes than the dataset has, or that confuses left and right."""
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
    paired = paired_classes([c.name for c in data.table])
    if paired and data.dimensions == 3 and config.input.orientation == "RAS":
        sideways = "xyz"[config.input.axis_order.index(0)]
        if sideways in config.augment.flip:
            kept = ", ".join(axis for axis in config.augment.flip if axis != sideways)
            raise ConfigError(
                f"mirrored along {sideways}, '{paired[0]}' looks like '{paired[1]}' and is learnt as the wrong one",
                where="augment.flip",
                fix=f"Write --set augment.flip=[{kept}].",
            )


def _prepared(
    data: Dataset, split: Split, config: TrainConfig, folder: Path, blocked: dict[str, str], first: FirstStage | None
) -> tuple[list[PreparedCase], dict[str, str]]:
    """Cases to train on, prepared, and why others of the dataset are skipped."""
    wanted = [case for case in data.labeled if case.case_id in split.train]
    log.info("preparing %d cases; %d more are held out (%s)", len(wanted), len(split.validation), split.name)
    cases, failed = prepare_cases(data, wanted, config.input, folder, first)
    skipped = {**blocked, **failed}
    if not cases:
        why = next(iter(skipped.values()), "there is no labeled case")
        raise InputError(f"no case can be trained on; the first: {why}", where=data.folder)
    return cases, skipped
