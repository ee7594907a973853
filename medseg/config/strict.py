"""The base of every model of keys that a person writes: unknown keys are errors, and nothing changes once read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Keys of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StrictFinite(Strict):
    """Keys of a file in which no number is infinite or none at all."""

    model_config = ConfigDict(allow_inf_nan=False)
