"""An evaluation: every figure of every case, with what is needed to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medseg.counted import counted
from medseg.evaluation.files.pairing import Pairing
from medseg.evaluation.options import EvaluateOptions
from medseg.models.card_summary import CardSummary
from medseg.types import Report


@dataclass(frozen=True, repr=False)
class Evaluation(Report):
    """A report, with what the figures were made from.

    Parameters
    ----------
    summary : mapping
        Aggregates over cases, groups and objects: the content of `summary.json`.
    pairing : Pairing
        Which files were compared, and what was left over.
    failed : mapping of str to str
        Cases that could not be measured, and why.
    notes : mapping of str to tuple of str
        What was done to make a case comparable, by case.
    options : EvaluateOptions
        What was measured, and how.
    names : mapping of int to str
        Names of the classes, from the options or the dataset.
    warnings : tuple of str
        What was asked for and occurs in no file; it makes exit code 3.
    models : tuple of CardSummary
        Cards of the models that made the predictions; empty where that is not known.
    """

    summary: Mapping[str, Any] = field(default_factory=dict)
    pairing: Pairing = field(default_factory=lambda: Pairing(()))
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: EvaluateOptions = field(default_factory=EvaluateOptions)
    names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    models: tuple[CardSummary, ...] = ()

    def __repr__(self) -> str:
        cases = len({row.case_id for row in self.rows})
        figures = counted(len(self.rows), "figure")
        return f"Evaluation({counted(cases, 'case')} measured, {len(self.failed)} failed, {figures})"

    @property
    def exit_code(self) -> int:
        """0 all measured, 3 some cases could not be or a value occurs nowhere, 4 none could."""
        if not self.rows:
            return 4
        return 3 if self.failed or self.pairing.without_reference or self.warnings else 0
