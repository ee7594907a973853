"""What a run trains on and is validated with: its split, its cases prepared."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.counted import counted
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.mirror_pairs import MirrorPair, axes_with_sides
from medseg.data.splits import Split, keep_in_training, split_cases, without
from medseg.errors import ConfigError, InputError
from medseg.training.audit_run import audited
from medseg.training.config import TrainConfig
from medseg.training.samples.cascade import LowResolutionRun
from medseg.training.samples.prepared import PreparedCase, prepare_cases
from medseg.training.training_run import TrainingRun
from medseg.types import LabelTable

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

    @property
    def test(self) -> tuple[DatasetCase, ...]:
        """The dataset's own test cases, to measure when all else is done; none for a run that is part of another."""
        if not self.run.measures_test:
            return ()
        return tuple(case for case in self.run.dataset.labeled if case.case_id in self.split.test)


def gather(run: TrainingRun) -> Inputs:
    """Check the configuration against the dataset; audit, split and prepare its cases."""
    data, config = run.dataset, run.config
    _check_fits(data, config)
    split = split_cases(data.labeled, folds=config.split.folds, fold=config.split.fold, seed=config.split.seed)
    found = audited(data, split, run.out)
    # A plan looks at fewer cases than an audit: only what holds in every label holds in theirs too.
    _check_mirroring(data, config, [pair for pair in found.mirrored if pair.is_always])
    blocked = found.blocked
    # What the dataset holds out stays so, whatever becomes of the others: a model's card says that it never had them.
    requested = config.split.folds is not None or any(case.split == "validation" or case.folds for case in data.labeled)
    split = keep_in_training(without(split, blocked, requested=requested), tuple(found.kept))
    low_resolution = None
    if config.low_resolution_stage is not None:
        low_resolution = LowResolutionRun(Path(config.low_resolution_stage))
        low_resolution.package_for(split.validation)
    chosen = [case for case in data.labeled if case.case_id in split.train]
    log.info("Preparing %s; held out: %d (%s).", counted(len(chosen), "case"), len(split.validation), split.name)
    if len(split.validation) == 1 and config.split.folds is None:
        log.warning("One case is held out; its Dice says little of other cases. --folds all measures every case.")
    cases, failed = prepare_cases(data, chosen, config.input, run.prepared, low_resolution)
    skipped = {**blocked, **failed}
    if not cases:
        every = "every labeled case is held out" if data.labeled else "there is no labeled case"
        why = next(iter(skipped.values()), every)
        raise InputError(
            f"no case can be trained on. The first: {why}",
            where=data.folder,
            fix="`medseg audit` lists what is wrong with each case.",
        )
    _check_trained(data, cases, skipped)
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
    _check_mirroring(data, config, ())


def _check_trained(data: Dataset, cases: Sequence[PreparedCase], skipped: Collection[str]) -> None:
    """Refuse classes that were only read off labels which are not trained on: most likely they are none."""
    for entry in data.table if skipped else ():
        unnamed = entry.name == LabelTable.unnamed([entry.value]).classes[0].name
        if unnamed and not any(case.facts.volumes_ml[entry.name] > 0 for case in cases):
            raise InputError(
                f"value {entry.value} is in no label that can be trained on, only in skipped or held-out ones",
                where=data.folder,
                fix="See audit.html; remove those cases, or name the classes under 'dataset.labels'.",
            )


def _check_mirroring(data: Dataset, config: TrainConfig, mirrored: Sequence[MirrorPair]) -> None:
    """Refuse mirrored patches that would teach one class as another, unless a person says that they may be."""
    names, given = [c.name for c in data.table], config.input
    sides = axes_with_sides(names, mirrored, order=given.axis_order, orientation=given.orientation)
    barred = [axis for axis in config.augment.flip if axis in sides and axis not in (config.plan.axes or ())]
    if barred:
        kept = ", ".join(axis for axis in config.augment.flip if axis not in barred)
        raise ConfigError(
            f"mirroring along {barred[0]} would teach one class as another: {sides[barred[0]]}",
            where="augment.flip",
            fix=f"Write --set augment.flip=[{kept}]; or, if that is what you want, "
            f"--set plan.mirror=[{', '.join(config.augment.flip)}].",
        )
