"""Stages that look at a prediction: its volumes, and what in it should be looked at first."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from medseg.post.quality import QualityOptions, check_quality
from medseg.post.volumes import measure_volumes
from medseg.types import Prediction
from medseg.types.quality import Quality
from medseg.types.run import PredictedVolumes, Volumes
from medseg.types.stage import RunContext

__all__ = ["CheckQuality", "Measure"]


class Measure:
    """Stage that measures the volumes of a prediction."""

    class Options(BaseModel):
        """Nothing to choose."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Prediction, context: RunContext) -> Volumes:
        """Measure."""
        return measure_volumes(item.labels, item.instances)


class CheckQuality:
    """Stage that remarks on what should be looked at first."""

    Options = QualityOptions

    def __init__(self, options: QualityOptions) -> None:
        self.options = options

    def run(self, item: PredictedVolumes, context: RunContext) -> Quality:
        """Look at the labels."""
        return check_quality(item.prediction, item.volumes, self.options)
