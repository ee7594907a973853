"""Stages that measure a prediction: volumes, and figures that need no reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from medseg.engine.stages.options import WithoutOptions
from medseg.post.class_values import measure_values
from medseg.post.intervals import with_intervals
from medseg.post.quality import QualityOptions, check_or_withhold
from medseg.post.volumes import measure_volumes
from medseg.types import Prediction
from medseg.types.case_report import CaseReport
from medseg.types.quality import Quality
from medseg.types.run import MeasuredCase, PredictedVolumes, Volumes
from medseg.types.stage import RunContext, Where


class Measure(WithoutOptions):
    """Measures the volume of every class with its interval, and counts its objects."""

    runs: ClassVar[Where] = "aside"

    def run(self, item: Prediction, context: RunContext) -> Volumes:
        """Measure."""
        return with_intervals(measure_volumes(item.every_class, item.instances, item.extent), item)

    def report(self, value: Volumes) -> CaseReport:
        """Report the volumes, and why they have no intervals where they might."""
        return CaseReport(notes=value.notes, volumes=value)


class MeasureValues(WithoutOptions):
    """Measures the scan's values inside every class, and its longest diameter."""

    runs: ClassVar[Where] = "aside"

    def run(self, item: MeasuredCase, context: RunContext) -> Volumes:
        """Measure; the volumes come back with what was added."""
        return measure_values(item.case.scan, item.prediction.every_class, item.volumes)

    def report(self, value: Volumes) -> CaseReport:
        """Report what was measured."""
        return CaseReport(volumes=value)


@dataclass(frozen=True)
class CheckQuality:
    """Warns of what in a prediction may be wrong."""

    Options = QualityOptions
    options: QualityOptions
    runs: ClassVar[Where] = "aside"

    def run(self, item: PredictedVolumes, context: RunContext) -> Quality:
        """Check the labels; raises `NotForThisModel` where no scan the model is for has such a result."""
        return check_or_withhold(item.prediction, item.volumes, self.options)

    def report(self, value: Quality) -> CaseReport:
        """Report the warnings, and the uncertainty."""
        return CaseReport(value.flags, uncertainty=value.uncertainty)
