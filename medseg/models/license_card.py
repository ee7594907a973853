"""How the weights of a model may be used, on the model card."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.config.strict import Strict

Use = Literal["any", "non-commercial", "research"]


class LicenseCard(Strict):
    """How the weights may be used; `training.license` has the license in words."""

    use: Use | None = Field(
        default=None,
        description="how the weights may be used; only `any` runs under `--clinical`. null: not stated",
    )
