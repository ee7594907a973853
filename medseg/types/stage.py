"""What a stage of a pipeline is, what it may declare, and what it may know of the run it is part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from medseg.types.case_report import CaseReport
from medseg.types.channels import WantedChannel
from medseg.types.scan import FoundScan
from medseg.types.series_criteria import SeriesCriteria

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Value = TypeVar("Value", contravariant=True)

Where = Literal["ahead", "main", "aside"]


@dataclass(frozen=True)
class RunContext:
    """The run's output folder, and the case in hand; None for stages that see the whole batch.

    `on_windows` hears how many windows of how many the network has done in the case. `folder` is where the results of
    the case are written until they are whole.
    """

    out: Path
    case_id: str | None = None
    on_windows: Callable[[int, int], None] | None = None
    folder: Path | None = None

    @property
    def case_folder(self) -> Path:
        """Folder that the results of the case in hand are written to."""
        if self.case_id is None:
            raise ValueError("a stage that takes the whole batch has no case folder")
        return self.out / self.case_id if self.folder is None else self.folder


class Stage(Protocol[In, Out]):
    """One step of a pipeline: takes an item, gives another, touches nothing else but the case's folder.

    A stage is a class with a pydantic model `Options` of its own and a constructor that takes one, so that its
    configuration can be checked before any data is read. `run`'s type hints are its contract: the runner checks that
    neighbors fit.

    It may declare where it runs, by a class attribute `runs`: ``"ahead"``, it only reads, and may do so for the next
    case while this one is computed; ``"main"``, the default, in the main thread, one case after another;
    ``"aside"``, it finishes a case, and may do so in another thread while the next is computed. Stages in front that
    run ahead, and stages at the end that run aside, do; all between run in the main thread.

    A step at the end of a run may declare `refreshes = True`: it is then also run now and then on the cases so far, and
    when a signal ends the run.

    What else it may declare are the methods of the protocols below.
    """

    Options: Any

    def run(self, item: In, context: RunContext) -> Out:
        """Do the step for one item."""
        ...


@runtime_checkable
class Reporting(Protocol[Value]):
    """A stage that has something to report of a case."""

    def report(self, value: Value) -> CaseReport:
        """Return what the case's outcome shall carry of the value that `run` gave."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """A stage that has something to do once, before the first case."""

    def get_ready(self, announce: Callable[[str], None]) -> None:
        """Do it, and name by ``announce(text)`` what will take long."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A stage that cannot be done for every scan, and knows so before the scan is read."""

    def check(self, found: FoundScan) -> None:
        """Raise a `MedsegError` for a scan it cannot be done for."""
        ...


@runtime_checkable
class Identified(Protocol):
    """A stage that knows better than its options what decides its result."""

    def identity(self) -> Mapping[str, Any]:
        """Return it as plain data; a finished case is done again when it changes."""
        ...


@runtime_checkable
class Sourced(Protocol):
    """A stage whose results are made by something with a name, such as a model."""

    def source(self) -> tuple[str, str]:
        """Return kind and name for the report, for instance ``("model", "hippocampus 1.0")``."""
        ...


@runtime_checkable
class Trained(Protocol):
    """A stage whose results are made by something that was trained on cases with names."""

    def trained_on(self) -> tuple[str, ...]:
        """Return their case ids; results on these cases say nothing about others."""
        ...


@runtime_checkable
class Documented(Protocol):
    """A stage whose results are made by something that has a card."""

    def card_summary(self) -> Mapping[str, Any]:
        """Return what a reader of the results must know of it: what it is for, its limits and its measured Dice."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A stage made for one kind of scan."""

    def series_criteria(self) -> SeriesCriteria | None:
        """Return which series of a DICOM study it is for; None takes all."""
        ...


@runtime_checkable
class Composed(Protocol):
    """A stage that may take several scans of a case together."""

    def channels(self) -> tuple[WantedChannel, ...]:
        """Return the channels it needs, in order; one where a scan is a case."""
        ...
