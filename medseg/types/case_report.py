"""What the stages of a pipeline report of a case, and what that adds up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from medseg.types.how_computed import HowComputed
from medseg.types.quality import Flag
from medseg.types.run import Measured, Volumes


@dataclass(frozen=True)
class CaseReport:
    """What one stage, or all of them, have to report of a case.

    Parameters
    ----------
    warnings : tuple of Flag
        What may be wrong; each counts in the review priority with its weight.
    notes : tuple of str
        What is good to know; counts nothing.
    uncertainty : float
        Of the result, 0 to below 1: orders cases whose warnings weigh the same.
    volumes, computed : optional
        What was measured, and what ran a network.
    read_back : mapping of str to Measured
        By DICOM file written, what came of reading it back.
    voxels : int, optional
        Size of what was read. A case of unknown or large size is finished before the next is computed.
    """

    warnings: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    uncertainty: float = 0.0
    volumes: Volumes | None = None
    computed: HowComputed | None = None
    voxels: int | None = None
    read_back: Mapping[str, Measured] = field(default_factory=dict)

    @property
    def review_priority(self) -> float:
        """The weights of the warnings, and below 1 the uncertainty."""
        # Rounded, so that a case keeps its place in the order whatever engine computed it.
        return round(sum(flag.weight for flag in self.warnings) + min(self.uncertainty, 0.999), 2)


def combined(reports: Iterable[CaseReport]) -> CaseReport:
    """Add reports up: each text once, a warning with its largest weight; of measurements, the last stage's."""
    weights: dict[str, float] = {}
    notes: dict[str, None] = {}
    uncertainty, volumes, computed, voxels = 0.0, None, None, None
    read_back: dict[str, Measured] = {}
    for report in reports:
        for flag in report.warnings:
            weights[flag.text] = max(flag.weight, weights.get(flag.text, 0.0))
        notes |= dict.fromkeys(report.notes)
        uncertainty = max(uncertainty, report.uncertainty)
        read_back |= report.read_back
        volumes, computed = report.volumes or volumes, report.computed or computed
        voxels = report.voxels if voxels is None else max(voxels, report.voxels or 0)
    flags = tuple(Flag(text, weight) for text, weight in weights.items())
    shown = tuple(n for n in notes if n not in weights)
    return CaseReport(flags, shown, uncertainty, volumes, computed, voxels, read_back)
