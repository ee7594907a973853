"""What the scan's values are inside a class: brightness in the scan's own unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ClassValues:
    """Values of one channel of a scan over the voxels of a class.

    Parameters
    ----------
    mean, median, standard_deviation, minimum, maximum, percentile_5, percentile_95 : float
        In `unit`; the standard deviation is that of the voxels (divided by their number), percentiles are interpolated
        linearly.
    unit : {"HU", "SUV", "Bq/ml", ""}
        What the values are; empty where the scan does not say, as of MR and of NIfTI.
    tlg : float, optional
        Of PET in SUV, total lesion glycolysis: mean SUV x volume in ml. Its metabolic tumor volume is the class's.
    """

    mean: float
    median: float
    standard_deviation: float
    minimum: float
    maximum: float
    percentile_5: float
    percentile_95: float
    unit: str = ""
    tlg: float | None = None

    def figures(self) -> dict[str, float]:
        """Figures by name, in order; without what is not known."""
        return {k: v for k, v in asdict(self).items() if k != "unit" and v is not None}

    def to_json(self) -> dict[str, Any]:
        """As ``status.json`` holds it."""
        return {"unit": self.unit, **self.figures()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ClassValues:
        """Read back what `to_json` gave."""
        return cls(**content)
