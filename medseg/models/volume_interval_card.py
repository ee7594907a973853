"""How far a model's volumes lie from those of references, on the model card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medseg.config.strict import StrictFinite
from medseg.types.volume_interval import IntervalRule

Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class VolumeIntervalCard(StrictFinite):
    """Intervals of volumes, measured on cases the weights were not trained on (split conformal prediction)."""

    level: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.9, description="how often the reference's volume lies in the interval"
    )
    power: Annotated[float, Field(ge=0, le=1)] = Field(
        description="the interval reaches half_width x volume ** power, in ml, to both sides"
    )
    half_width: dict[str, Positive] = Field(
        default={}, description="by class name; a class of which too few cases were measured has none"
    )
    cases: dict[str, Annotated[int, Field(ge=0)]] = Field(
        description="class name to the number of held-out cases measured that have the class, or a result of it"
    )
    measured: str = Field(default="", description="on which cases, and by which weights")

    @classmethod
    def from_rule(cls, rule: IntervalRule, measured: str) -> VolumeIntervalCard:
        """Return what the card says of a rule."""
        return cls(
            level=rule.level,
            power=round(rule.power, 6),
            half_width=dict(rule.half_width),
            cases=dict(rule.cases),
            measured=measured,
        )

    def to_rule(self) -> IntervalRule:
        """Return it as the type that travels."""
        return IntervalRule(
            self.level, self.power, self.half_width, {**dict.fromkeys(self.half_width, 0), **self.cases}
        )
