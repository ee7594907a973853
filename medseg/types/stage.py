"""What a stage of a pipeline is, and what it may know of the run it is part of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

__all__ = ["RunContext", "Stage"]

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


@dataclass(frozen=True)
class RunContext:
    """What every stage of a run is told.

    Parameters
    ----------
    out : Path
        The run's output folder.
    case_id : str, optional
        The case in hand; None for stages that see the whole batch.
    overwrite : bool
        Whether results already there are made again.
    """

    out: Path
    case_id: str | None = None
    overwrite: bool = False

    @property
    def case_folder(self) -> Path:
        """Folder of the case in hand."""
        if self.case_id is None:
            raise ValueError("a stage that sees the whole batch has no case folder")
        return self.out / self.case_id


class Stage(Protocol[In, Out]):
    """One step of a pipeline: takes an item, gives another, touches nothing else but the case's folder.

    A stage is a class with a pydantic model `Options` of its own and a constructor that takes one, so that its
    configuration can be checked before any data is read. `run`'s type hints are its contract: the runner checks that
    neighbors fit. A stage that has something to do once, before the first case, has a method
    ``get_ready(say)`` and tells by ``say(text)`` what will take long.
    """

    Options: Any

    def run(self, item: In, context: RunContext) -> Out:
        """Do the step for one item."""
        ...
