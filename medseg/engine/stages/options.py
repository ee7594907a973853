"""What the options of every stage have in common."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class StageOptions(BaseModel):
    """Options of a stage; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class WithoutOptions:
    """A stage that has nothing to choose."""

    Options = StageOptions
    options: StageOptions
