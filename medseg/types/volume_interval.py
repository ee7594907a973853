"""Between which volumes the true one lies, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class VolumeInterval:
    """Limits of a size, in its own unit, between which the reference's lies as a rule.

    Parameters
    ----------
    low, high : float
        The limits.
    level : float
        How often they hold, 0 to 1, in scans like those they were measured on.
    cases : int
        Number of held-out cases they were measured on.
    """

    low: float
    high: float
    level: float
    cases: int

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g}, {self.level:.0%} interval from {self.cases} held-out cases"

    def to_json(self) -> dict[str, Any]:
        """As ``status.json`` holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> VolumeInterval | None:
        """Read back what `to_json` gave; None for None."""
        return None if content is None else cls(**content)


@dataclass(frozen=True)
class IntervalRule:
    """How the intervals of a model's volumes are made.

    The reference's volume is taken to lie within ``half_width x v ** power`` ml of a measured volume v in ml.

    Parameters
    ----------
    level : float
        How often that holds, 0 to 1.
    power : float
        0 where errors are as large in small classes as in large ones, 1 where they grow with the volume.
    half_width : mapping of str to float
        By class name; without classes of which too few cases were measured.
    cases : mapping of str to int
        Number of held-out cases measured, by class name.
    """

    level: float
    power: float
    half_width: Mapping[str, float] = field(default_factory=dict)
    cases: Mapping[str, int] = field(default_factory=dict)

    @property
    def least_cases(self) -> int:
        """Number of cases below which none of them may lie outside an interval of this level."""
        n = 1
        while (n + 1) * self.level > n:
            n += 1
        return n

    def interval(self, class_name: str, volume_ml: float) -> VolumeInterval | None:
        """Interval of a measured volume in ml; None where there is none for the class, or nothing was found."""
        if class_name not in self.half_width or volume_ml <= 0:
            return None
        half = self.half_width[class_name] * volume_ml**self.power
        return VolumeInterval(max(0.0, volume_ml - half), volume_ml + half, self.level, self.cases[class_name])
