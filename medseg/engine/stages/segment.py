"""The stage that runs a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from medseg.combine.predictor import check_runnable
from medseg.combine.segment import AnyPredictor, open_model, segment_scan
from medseg.errors import MedsegError, ModelError, first_line
from medseg.infer.engines.select import ProgressCallback
from medseg.infer.options import InferOptions
from medseg.io.files.scratch import Scratch
from medseg.models.card_summary import summary
from medseg.models.license import check_clinical, use_line
from medseg.models.package import ModelPackage
from medseg.tracking.resolve import resolve_model
from medseg.types import Case, Prediction
from medseg.types.case_report import CaseReport
from medseg.types.channels import WantedChannel
from medseg.types.quality import Flag
from medseg.types.series_criteria import SeriesCriteria
from medseg.types.stage import RunContext, Where

log = logging.getLogger("medseg.models")

# How a result is computed, not what it is: changing one of these does not make a finished case out of date.
EXECUTION_ONLY = {"device", "engine", "compiled", "memory_gb", "clinical"}


class Segment:
    """Segments a case with one model, loaded once for the whole batch."""

    class Options(InferOptions):
        """The model, and how it is run."""

        model: str = Field(description="a shipped name or the path of a model package")
        anyway: bool = Field(
            default=False,
            description="segment scans that are not what the model is for too, and mark every output of theirs",
        )
        clinical: bool = Field(
            default=False,
            description="this is clinical use: refuse a model whose card does not say that its weights are for any use",
        )

    runs: ClassVar[Where] = "main"

    def __init__(self, options: Options) -> None:
        self.options = options
        self.package: ModelPackage = resolve_model(options.model)
        if options.clinical:
            check_clinical(self.package)
        check_runnable(self.package, options)
        self._announce: ProgressCallback | None = None

    def identity(self) -> dict[str, Any]:
        """Return what decides the result: the package's hash and the options that change labels."""
        options = self.options.model_dump(mode="json", exclude=EXECUTION_ONLY | {"model"})
        return {"model": str(self.package.identity), "model_sha256": self.package.hash, **options}

    def source(self) -> tuple[str, str]:
        """Return the model's name and version."""
        return "model", str(self.package.identity)

    def trained_on(self) -> tuple[str, ...]:
        """Return the cases that the model's card names."""
        return self.package.card.training.trained_on

    def card_summary(self) -> Mapping[str, Any]:
        """Return the essence of the model's card."""
        return {**summary(self.package.card), "sha256": self.package.hash}

    def series_criteria(self) -> SeriesCriteria | None:
        """Return the series the model's card describes; several channels are not taken from one series."""
        card = self.package.card
        return None if len(card.input.channels) > 1 else card.series_criteria()

    def channels(self) -> tuple[WantedChannel, ...]:
        """Return the model's channels, as its card calls them."""
        return tuple(WantedChannel(channel.name, channel.modality) for channel in self.package.card.input.channels)

    @cached_property
    def _predictor(self) -> AnyPredictor:
        options = InferOptions(**self.options.model_dump(exclude={"model", "anyway", "clinical"}))
        return open_model(self.package, options, progress=self._announce)

    def get_ready(self, announce: ProgressCallback) -> None:
        """Load the model; where it is new to this machine, also export it and find its fastest engine."""
        self._announce = announce
        log.info("The weights of %s may be used for: %s.", self.package.card.name, use_line(self.package))
        try:
            _ = self._predictor
        except MedsegError:
            raise
        except Exception as error:  # of a driver or a runtime, in its own words
            raise ModelError(
                f"the model cannot be run here ({first_line(error)})",
                where=self.package.card.name,
                fix="Use --device cpu --engine torch, and see what `medseg doctor` says.",
            ) from error

    def run(self, item: Case, context: RunContext) -> Prediction:
        """Segment the case's scan; requested probabilities are kept in files in the output folder until written."""
        return segment_scan(
            self._predictor,
            item.scan,
            Scratch(context.out),
            anyway=self.options.anyway,
            on_windows=context.on_windows,
        )

    def report(self, value: Prediction) -> CaseReport:
        """Report the prediction's warnings and notes, and how it was computed."""
        return CaseReport(tuple(Flag(text) for text in value.warnings), value.notes, computed=value.computed)
