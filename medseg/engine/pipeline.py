"""A pipeline: which stages in what order, and which output feeds which input, checked before any data is read."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from medseg.config.load import build, read_yaml, under, unknown_key
from medseg.config.strict import Strict
from medseg.engine.registry import stage_class
from medseg.errors import PipelineError, UsageError
from medseg.types.case_report import CaseReport
from medseg.types.channels import WantedChannel
from medseg.types.run import BatchResult, Inputs
from medseg.types.scan import Discovery, FoundScan
from medseg.types.series_criteria import SeriesCriteria
from medseg.types.stage import (
    Checking,
    Composed,
    Documented,
    Identified,
    Preparable,
    Reporting,
    RunContext,
    Selective,
    Sourced,
    Trained,
    Where,
)


class StepFile(Strict):
    """One step as a pipeline file has it."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    stage: str
    source: str | dict[str, str] = Field(
        alias="from", description="name of the step whose output it takes, or a mapping of input fields to steps"
    )


class PipelineFile(Strict):
    """A pipeline file: structure only, no numbers."""

    description: str
    gather: StepFile = Field(description="finds the cases; takes `inputs`")
    each: tuple[StepFile, ...] = Field(description="runs case by case; the first takes `case`")
    finish: tuple[StepFile, ...] = Field(default=(), description="runs once at the end; takes `batch`")


@dataclass(frozen=True, eq=False)
class Step:
    """A step with its stage built and its types checked."""

    name: str
    stage: Any
    source: str | Mapping[str, str]
    takes: Any

    def run(self, values: Mapping[str, Any], context: RunContext) -> Any:
        """Run the stage on what earlier steps left in `values`."""
        if isinstance(self.source, str):
            return self.stage.run(values[self.source], context)
        return self.stage.run(self.takes(**{key: values[step] for key, step in self.source.items()}), context)

    @property
    def runs(self) -> Where:
        """Where it may run; what declares nothing runs in the main thread."""
        runs: Where = getattr(self.stage, "runs", "main")
        return runs

    @property
    def refreshes(self) -> bool:
        """Whether it is also run on the cases so far, while the run goes its way."""
        return bool(getattr(self.stage, "refreshes", False))

    def report(self, value: Any) -> CaseReport:
        """Return what the stage has to report of what it gave."""
        return self.stage.report(value) if isinstance(self.stage, Reporting) else CaseReport()

    def check(self, found: FoundScan) -> None:
        """Let the stage refuse a scan it cannot be done for, before that is read."""
        if isinstance(self.stage, Checking):
            self.stage.check(found)

    def get_ready(self, announce: Callable[[str], None]) -> None:
        """Let the stage do what it does once."""
        if isinstance(self.stage, Preparable):
            self.stage.get_ready(announce)

    def identity(self) -> Mapping[str, Any]:
        """What decides the stage's result: what it says itself, else its options."""
        if isinstance(self.stage, Identified):
            return self.stage.identity()
        options: dict[str, Any] = self.stage.options.model_dump(mode="json")
        return options


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A pipeline ready to run."""

    name: str
    gather: Step
    each: tuple[Step, ...]
    finish: tuple[Step, ...]

    def identity(self) -> dict[str, Any]:
        """What decides the result of a case, by step."""
        return {step.name: step.identity() for step in self.each}

    def sources(self) -> tuple[tuple[str, str], ...]:
        """Kind and name of everything that makes results, such as models."""
        return tuple(step.stage.source() for step in self.each if isinstance(step.stage, Sourced))

    def trained_on(self) -> list[str]:
        """Case ids that a model of it was trained on."""
        return sorted(
            {case for step in self.each if isinstance(step.stage, Trained) for case in step.stage.trained_on()}
        )

    def card_summaries(self) -> list[Mapping[str, Any]]:
        """Return what readers of the results must know of each model."""
        return [step.stage.card_summary() for step in self.each if isinstance(step.stage, Documented)]

    def series_criteria(self) -> SeriesCriteria | None:
        """Which series of a DICOM study suit the first of the stages that are made for one kind of scan."""
        selective = (step.stage for step in self.each if isinstance(step.stage, Selective))
        return next((stage.series_criteria() for stage in selective), None)

    def channels(self) -> tuple[WantedChannel, ...]:
        """Channels that the first of the stages needs that take several scans together."""
        composed = (step.stage for step in self.each if isinstance(step.stage, Composed))
        return next((stage.channels() for stage in composed), ())


def load_pipeline(path: Path) -> PipelineFile:
    """Read a pipeline file; a wrong key raises `ConfigError`."""
    return build(PipelineFile, read_yaml(path), where=path)


def assemble(name: str, file: PipelineFile, config: Mapping[str, Any], *, where: object = None) -> Pipeline:
    """Build every stage from its options, by step name in `config`, and check that neighbors fit.

    - `where`: the file that holds the options, to be named in errors about them.

    Options of a step that does not exist, or that its stage does not have, raise `ConfigError`; a step that takes what
    no earlier step gives, `PipelineError`.
    """
    steps = [file.gather, *file.each, *file.finish]
    names = [step.name for step in steps]
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise PipelineError(f"two steps have the same name, '{twice}'", where=name, fix="Rename one of them.")
    if unknown := set(config) - set(names):
        raise unknown_key(config, sorted(unknown)[0], names, where=where or name)
    available: dict[str, Any] = {"inputs": Inputs}
    gather = _build_step(name, file.gather, config, available, where)
    if _gives(gather.stage) is not Discovery:
        raise PipelineError(
            f"the step '{gather.name}' must give a Discovery", where=name, fix="Use the stage 'discover' there."
        )
    available = {"case": FoundScan}
    each = tuple(_build_step(name, step, config, available, where) for step in file.each)
    available = {"batch": BatchResult}
    finish = tuple(_build_step(name, step, config, available, where) for step in file.finish)
    return Pipeline(name, gather, each, finish)


def _build_step(
    pipeline: str, step: StepFile, config: Mapping[str, Any], available: dict[str, Any], where: object
) -> Step:
    kind = stage_class(step.stage)
    given = under(config, step.name, where=where or pipeline)
    for key, field in kind.Options.model_fields.items():
        if field.is_required() and key not in given:
            raise PipelineError(
                f"the step '{step.name}' needs a value for {key}",
                where=f"pipeline {pipeline}",
                fix=f"Add --set {step.name}.{key}={key.upper()}, or write it in the file of --config.",
            )
    options = build(kind.Options, given, where=f"{where or pipeline}, step {step.name}")
    try:
        stage = kind(options)
    except UsageError as error:
        raise _by_override(error, given) from error
    if getattr(stage, "runs", "main") not in typing.get_args(Where):
        known = ", ".join(typing.get_args(Where))
        raise PipelineError(
            f"the stage '{step.stage}' declares that it runs '{stage.runs}'",
            where=pipeline,
            fix=f"Use one of: {known}.",
        )
    takes = _hints(stage)["item"]
    wanted = {None: takes} if isinstance(step.source, str) else _fields_of(takes, step, pipeline)
    for key, needed in wanted.items():
        source = step.source if isinstance(step.source, str) else step.source[typing.cast(str, key)]
        if source not in available:
            raise PipelineError(
                f"the step '{step.name}' takes '{source}', which no earlier step gives",
                where=pipeline,
                fix=f"There are: {', '.join(available)}.",
            )
        if not _fits(available[source], needed):
            raise PipelineError(
                f"the step '{step.name}' takes {_name(needed)}, and '{source}' gives {_name(available[source])}",
                where=pipeline,
                fix=_givers(needed, available),
            )
    available[step.name] = _gives(stage)
    return Step(step.name, stage, step.source, takes)


def _by_override(error: UsageError, given: Mapping[str, Any]) -> UsageError:
    """An error about an option, such as ``--model M``, which names the ``--set`` where that gave the value."""
    for key, override in getattr(given, "given", {}).items():
        if error.where == f"--{key.replace('_', '-')} {given[key]}":
            error.where = f"--set {override}"
    return error


def _givers(needed: Any, available: Mapping[str, Any]) -> str:
    """What can be given to a step instead."""
    fitting = [f"'{name}'" for name, given in available.items() if _fits(given, needed)]
    if fitting:
        return f"Give it {' or '.join(fitting)}."
    return f"Put a step before it that gives {_name(needed)}."


def _fields_of(takes: Any, step: StepFile, pipeline: str) -> dict[Any, Any]:
    """Types of the fields a mapping of inputs must fill."""
    if not is_dataclass(takes):
        raise PipelineError(
            f"the step '{step.name}' takes one {_name(takes)}, not several inputs",
            where=pipeline,
            fix="Give it the name of one step as its input.",
        )
    hints = typing.get_type_hints(takes)
    names = [field.name for field in fields(takes)]
    needed = [f.name for f in fields(takes) if f.default is MISSING and f.default_factory is MISSING]
    if not set(needed) <= set(step.source) <= set(names):
        raise PipelineError(
            f"the step '{step.name}' needs the inputs {', '.join(needed)}",
            where=pipeline,
            fix=f"It has {', '.join(step.source)}.",
        )
    return {name: hints[name] for name in step.source}


def _hints(stage: Any) -> dict[str, Any]:
    return typing.get_type_hints(type(stage).run)


def _gives(stage: Any) -> Any:
    return _hints(stage)["return"]


def _fits(given: Any, needed: Any) -> bool:
    if typing.get_origin(needed) in (typing.Union, types.UnionType):
        return any(_fits(given, option) for option in typing.get_args(needed))
    if isinstance(given, type) and isinstance(needed, type):
        return issubclass(given, needed)
    return bool(given == needed)


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))
