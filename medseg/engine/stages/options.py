"""What the options of every stage have in common."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.config.strict import Strict


class StageOptions(Strict):
    """Options of a stage; unknown ones are errors."""


@dataclass(frozen=True)
class WithoutOptions:
    """A stage that has nothing to choose."""

    Options = StageOptions
    options: StageOptions
