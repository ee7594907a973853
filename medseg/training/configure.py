"""Puts a run's configuration together: the plan, a file, what `--set` changes, the other options."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from medseg import resources
from medseg.config.load import apply_overrides, build, merged, read_yaml, under, without_null
from medseg.config.purpose import check_purpose
from medseg.data.dataset import Dataset
from medseg.data.description import described
from medseg.data.patient_groups import AUTO
from medseg.errors import UsageError
from medseg.io.files.atomic import write_text
from medseg.models.package import ModelPackage
from medseg.tracking.resolve import resolve_model
from medseg.training.config import SplitConfig, TrainConfig
from medseg.training.early_check import check_early, check_network
from medseg.training.options import TrainOptions, seconds_of
from medseg.training.plan import DatasetSource, PlanFor, fitting_preset, plan_dataset
from medseg.training.start_fit import check_start
from medseg.training.warm_start import start_values
from medseg.training.weights_start import weights_start

log = logging.getLogger("medseg.train")

# What a configuration must say; where it does not, the dataset is planned.
PLANNED = ("input", "network")
# Fraction of patches centered on a class, for a network that takes clicks.
FOREGROUND = 0.9


class Configurator:
    """Makes the configuration of each run that the options ask for; keys are checked before the dataset is read.

    A configuration that says nothing of input or network changes the plan made from the dataset's fingerprint; without
    any configuration the plan is all there is.
    """

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        config = options.config
        self.path = None if config is None or isinstance(config, TrainConfig) else resources.find("configs", config)
        if isinstance(config, TrainConfig):
            self.values = without_null(config.model_dump(mode="json"))
        else:
            self.values = {} if self.path is None else read_yaml(self.path)
            if config is not None:
                check_purpose(self.values, "training", name=config)
        if options.interactive:
            self.values = {**self.values, "interactive": self.values.get("interactive") or {}}
        changed = apply_overrides(self.values, options.settings)
        self.stated = check_early(changed, where=self.path)
        self.weights = weights_start(options.start, changed)
        # That there is one is known before any data is read.
        self.start = None if self.package is None else resolve_model(self.package, option="--from")
        self.source = DatasetSource(options.dataset, described(changed), self.stated.split.group)

    @property
    def package(self) -> str | Path | None:
        """Name or path of the model package to start from, if there is one."""
        return None if self.weights is not None else self.options.start or self.values.get("start")

    def config(self, out: Path | None = None, configuration: str | None = None) -> TrainConfig:
        """Return the configuration of a run, of the planned configuration of this name.

        `out` gets ``plan.yaml`` and ``fingerprint.json``; a plan that lies there is used again. A package to start from
        takes the place of the plan's input and network, a file of weights that of its network. A time budget without
        epochs takes the place of the file's epochs.
        """
        options, values = self.options, self.values
        start = self.start
        if start is not None:
            check_start(start.card, self.source.data, self.stated.fine_tuning, self.stated.classes)
            _check_takes_clicks(start, interactive=self.stated.interactive is not None)
        if any(key not in values for key in PLANNED):
            values = merged(self._planned(out, configuration), values)
        elif configuration is not None:
            raise UsageError(
                "the configuration gives input and network, so nothing is planned",
                where="--configuration",
                fix="Omit --configuration, or --config.",
            )
        if start is not None:
            own = {key: self.values[key] for key in (*PLANNED, "border_mm") if key in self.values}
            values = {**values, **start_values(start, str(self.package)), **own}
        elif self.weights is not None:
            values = self.weights.changed(values, self.values)
        if self.stated.interactive is not None and "foreground" not in under(self.values, "sampling"):
            # A patch without any class teaches little of what belongs to one.
            values = merged(values, {"sampling": {"foreground": FOREGROUND}})
        values = apply_overrides(values, options.settings)
        if options.time_budget is not None:
            values["time_budget"] = seconds_of(options.time_budget)
            values["epochs"] = options.epochs
        elif options.epochs is not None:
            values["epochs"] = options.epochs
        if options.seed is not None:
            values["seed"] = options.seed
        made = build(TrainConfig, without_null(values), where=self.path)
        check_network(values, where=self.path)
        return made

    def start_of(self, config: TrainConfig) -> ModelPackage | None:
        """Return the package that a configuration starts from; None where ``--set start=`` names another."""
        return self.start if config.start == str(self.package) else None

    def dataset(self, config: TrainConfig) -> Dataset:
        """Return the dataset as a configuration describes it: read once, unless a plan found in a folder differs."""
        description = self.source.description
        return (self.source if config.dataset == description else replace(self.source, description=config.dataset)).data

    @cached_property
    def _split(self) -> SplitConfig:
        changed = apply_overrides(self.values, self.options.settings)
        return build(SplitConfig, under(changed, "split"), where="split")

    def _is_stated_in(self, plan: Mapping[str, Any]) -> bool:
        """Whether a plan was made for what the configuration says of the dataset, its groups and its sides."""
        given, planned = self.source.description, plan.get("dataset")
        description = None if given is None else given.model_dump(mode="json", exclude_defaults=True)
        axes = self.stated.plan.axes
        return (
            planned == description
            and under(plan, "split").get("group", AUTO) == self.stated.split.group
            and under(plan, "plan").get("mirror") == (None if axes is None else list(axes))
        )

    def _planned(self, out: Path | None, configuration: str | None) -> Mapping[str, Any]:
        # One file for each configuration, so that a plan of another is never taken for it.
        kept = None if out is None else out / f"plan{'' if configuration is None else f'-{configuration}'}.yaml"
        if kept is not None and kept.is_file():
            known = read_yaml(kept)
            if self._is_stated_in(known):
                return known
            log.info("Planning again: the configuration says something else of the dataset than %s.", kept)
        preset = fitting_preset(self.options.device)
        log.info("Planning for the preset %s.", preset)
        options, budget = self.options, self.values.get("time_budget")
        if options.time_budget is not None:
            budget = seconds_of(options.time_budget)
        wanted = PlanFor(preset, configuration, budget if options.epochs is None else None, self.stated.plan.axes)
        plan, fingerprint, text = plan_dataset(self.source, wanted, split=self._split, out=out)
        if kept is not None and out is not None:
            fingerprint.write(out / "fingerprint.json")
            write_text(kept, text)
        return plan.values


def _check_takes_clicks(start: ModelPackage, *, interactive: bool) -> None:
    """Refuse to make an automatic model of one that takes clicks."""
    if start.card.interactive is not None and not interactive:
        raise UsageError(
            f"{start.identity.name} takes clicks, and this training would make a model that takes none",
            where="--from",
            fix="Add --interactive, or start from another model.",
        )
