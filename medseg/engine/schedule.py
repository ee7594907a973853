"""Which steps of a pipeline run ahead, in the main thread, and aside: from what their stages declare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from medseg.engine.pipeline import Step


@dataclass(frozen=True)
class Schedule:
    """The steps of a case: some may run while the case before is computed, some while the next is."""

    ahead: tuple[Step, ...]
    main: tuple[Step, ...]
    aside: tuple[Step, ...]

    @classmethod
    def from_steps(cls, steps: Sequence[Step]) -> Schedule:
        """Take the leading steps that run ahead and the trailing ones that run aside; the rest is main."""
        first = len(list(takewhile(lambda step: step.runs == "ahead", steps)))
        last = len(steps) - len(list(takewhile(lambda step: step.runs == "aside", reversed(steps))))
        return cls(tuple(steps[:first]), tuple(steps[first:last]), tuple(steps[last:]))
