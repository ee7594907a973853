"""Measurements in long form, with what they mean and what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class MeasurementRow:
    """One figure."""

    case_id: str
    class_name: str  # ``"all"`` for figures of the whole case
    metric: str  # lower case, for instance ``"dice"`` or ``"nsd@2mm"``
    value: float  # NaN where undefined, infinite where a distance has no other end


@dataclass(frozen=True, repr=False)
class Report:
    """Measurements of a set of cases."""

    rows: tuple[MeasurementRow, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)  # what each metric is, in a sentence
    versions: Mapping[str, str] = field(default_factory=dict)  # of the software that measured

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.rows)} figures, {len({row.case_id for row in self.rows})} cases)"
