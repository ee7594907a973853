"""Measurements in long form, with what they mean and what made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MeasurementRow", "Report"]


@dataclass(frozen=True)
class MeasurementRow:
    """One figure.

    Parameters
    ----------
    case_id : str
        The case.
    class_name : str
        The class, or ``"all"``.
    metric : str
        Lower-case name, for instance ``"dice"`` or ``"nsd@2mm"``.
    value : float
        NaN where undefined, infinite where a distance has no other end.
    """

    case_id: str
    class_name: str
    metric: str
    value: float


@dataclass(frozen=True)
class Report:
    """Measurements of a set of cases.

    Parameters
    ----------
    rows : tuple of MeasurementRow
        In long form.
    definitions : mapping of str to str
        What each metric is, in a sentence.
    versions : mapping of str to str
        Of the software that measured.
    """

    rows: tuple[MeasurementRow, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
