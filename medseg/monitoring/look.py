"""What a look at a history says: its charts, and what changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from medseg.monitoring.card_reference import CardShift
from medseg.monitoring.charts import ControlChart
from medseg.monitoring.history import CaseRecord


@dataclass(frozen=True, eq=False)
class Monitoring:
    """What a look at the history says.

    - `n_baseline`: how many of the records are the baseline.
    - `shifts`: against the model's card.
    - `false_alarms`: probability that anything is called changed where nothing is.
    """

    records: tuple[CaseRecord, ...]
    n_baseline: int
    charts: tuple[ControlChart, ...]
    shifts: tuple[CardShift, ...]
    false_alarms: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        changed = ", ".join(chart.name for chart in self.changed) or "nothing changed"
        return f"Monitoring({len(self.records)} cases, {len(self.charts)} charts, {changed})"

    @property
    def changed(self) -> tuple[ControlChart, ...]:
        """Charts whose rules are broken more than by chance, the earliest change first."""
        return tuple(sorted((c for c in self.charts if c.is_changed), key=lambda chart: (chart.since, chart.p)))

    @property
    def exit_code(self) -> int:
        """0 nothing changed, 3 something did, 4 there are too few cases to say anything."""
        if self.changed or any(shift.is_changed for shift in self.shifts):
            return 3
        return 0 if self.charts or self.shifts else 4

    @property
    def scanners(self) -> dict[str, tuple[int, int]]:
        """Number of cases of each scanner, in the baseline and since."""
        counts = [Counter(map(scanner_of, part)) for part in (self.baseline, self.since)]
        return {name: (counts[0][name], counts[1][name]) for name in dict.fromkeys([*counts[0], *counts[1]])}

    @property
    def baseline(self) -> tuple[CaseRecord, ...]:
        """The first cases, with which the later ones are compared."""
        return self.records[: self.n_baseline]

    @property
    def since(self) -> tuple[CaseRecord, ...]:
        """The later cases."""
        return self.records[self.n_baseline :]

    def as_dict(self) -> dict[str, Any]:
        """The essence, as JSON has it."""
        return {
            "cases": len(self.records),
            "baseline": self.n_baseline,
            "false_alarms": self.false_alarms,
            "exit_code": self.exit_code,
            "scanners": {name: list(counts) for name, counts in self.scanners.items()},
            "charts": [
                {
                    "name": chart.name, "changed": chart.is_changed, "p": chart.p, "psi": chart.psi,
                    "since": chart.since if chart.is_changed else None, "medians": list(chart.medians),
                    "signals": {"ewma" if rule == 0 else f"rule_{rule}": n for rule, n in chart.n_signals.items()},
                }
                for chart in self.charts
            ],
            "card": [
                {
                    "class": one.class_name, "changed": one.is_changed, "p": one.p, "outside": one.outside,
                    "cases": one.n_cases, "distance": one.distance, "psi": one.psi,
                }
                for one in self.shifts
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def scanner_of(record: CaseRecord) -> str:
    """Maker and model of the scanner of a case, in words."""
    named = " ".join(record.texts[name] for name in ("manufacturer", "scanner") if record.texts.get(name))
    return named or "not known"
