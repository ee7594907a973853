"""What a run trains on and is validated with: its split, its cases prepared."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.left_right import paired_classes
from medseg.data.splits import Split, split_cases, without
from medseg.errors import ConfigError, InputError
from medseg.training.audit_run import blocked_cases
from medseg.training.config import TrainConfig
from medseg.training.samples.cascade import LowResolutionRun
from medseg.training.samples.prepared import PreparedCase, prepare_cases
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class Inputs:
    """Cases of one run: those trained on, those held out, and why others are skipped.

    Parameters
    ----------
    run : TrainingRun
        Whose they are.
    split : Split
        Valid cases to train on and to hold out.
    cases : tuple of PreparedCase
        Those to train on that could be prepared.
    skipped : dict of str to str
        Why others are not used.
    low_resolution : LowResolutionRun, optional
        In a cascade, what labels cases beforehand.
    """

    run: TrainingRun
    split: Split
    cases: tuple[PreparedCase, ...]
    skipped: dict[str, str]
    low_resolution: LowResolutionRun | None = None

    @property
    def held_out(self) -> tuple[DatasetCase, ...]:
        """Cases to validate with."""
        return tuple(case for case in self.run.dataset.labeled if case.case_id in self.split.validation)


def gather(run: TrainingRun) -> Inputs:
    """Check the configuration against the dataset; audit, split and prepare its cases."""
    data, config = run.dataset, run.config
    _check_fits(data, config)
    split = split_cases(data.labeled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
    blocked = blocked_cases(data, split, run.out)
    split = without(split, blocked)
    low_resolution = None
    if config.low_resolution_stage is not None:
        low_resolution = LowResolutionRun(Path(config.low_resolution_stage))
        low_resolution.package_for(split.validation)
    chosen = [case for case in data.labeled if case.case_id in split.train]
    log.info("Preparing %d cases; %d more are held out (%s).", len(chosen), len(split.validation), split.name)
    cases, failed = prepare_cases(data, chosen, config.input, run.prepared, low_resolution)
    skipped = {**blocked, **failed}
    if not cases:
        why = next(iter(skipped.values()), "there is no labeled case")
        raise InputError(f"no case can be trained on. The first: {why}", where=data.folder)
    return Inputs(run, split, tuple(cases), skipped, low_resolution)


def _check_fits(data: Dataset, config: TrainConfig) -> None:
    """Refuse a configuration for other channels or classes than the dataset has, or that confuses left and right."""
    if len(config.input.channels) != len(data.channels):
        raise ConfigError(
            f"the configuration has {len(config.input.channels)} channels, the dataset {len(data.channels)}",
            where="input.channels",
            fix=f"Name one for each of {', '.join(c.name for c in data.channels)}.",
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
                f"mirroring along {sideways} would teach '{paired[0]}' as '{paired[1]}'",
                where="augment.flip",
                fix=f"Write --set augment.flip=[{kept}].",
            )
