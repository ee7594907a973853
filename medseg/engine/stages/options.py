"""What the options of every stage have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StageOptions(BaseModel):
    """Options of a stage; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoOptions(StageOptions):
    """Nothing to choose."""
