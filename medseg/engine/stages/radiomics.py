"""The stage that computes radiomics; it needs the extra `radiomics`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from pydantic import Field

from medseg.engine.stages.options import StageOptions
from medseg.harmless import TableWriter
from medseg.io.files.atomic import write_text
from medseg.post.radiomics import RadiomicsSettings, RegionFeature, check_available, radiomics
from medseg.types.case_report import CaseReport
from medseg.types.run import Segmented
from medseg.types.stage import RunContext, Where

FILE = "radiomics.csv"
COLUMNS = ("class", "object", "channel", "family", "feature", "ibsi_code", "mirp_name", "value")


@dataclass(frozen=True)
class Radiomics:
    """Computes radiomics of every class and object into `radiomics.csv`, by MIRP to the standard of the IBSI."""

    class Options(StageOptions):
        """Gray levels, grid and regions."""

        bins: Annotated[int, Field(ge=2, le=1024)] = Field(
            default=64, description="gray levels between the lowest and the highest value of a region"
        )
        bin_width: Annotated[float, Field(gt=0)] | None = Field(
            default=None, description="width of a gray level in HU or SUV, instead of `bins`; 25 is usual for CT"
        )
        spacing_mm: Annotated[float, Field(gt=0, le=20)] | None = Field(
            default=None, description="isotropic grid that scan and regions are resampled to; null: the scan's own"
        )
        classes: tuple[str, ...] | None = Field(default=None, description="names; null takes every class")
        objects: bool = Field(default=True, description="also of each object, where the model makes objects")

    options: Options
    runs: ClassVar[Where] = "aside"

    def __post_init__(self) -> None:
        """Refuse a pipeline with this stage before any scan is read, where MIRP is not installed."""
        check_available()

    def run(self, item: Segmented, context: RunContext) -> Segmented:
        """Compute and write; a note names each region that has none."""
        chosen, prediction = self.options, item.prediction
        settings = RadiomicsSettings(None if chosen.bin_width else chosen.bins, chosen.bin_width, chosen.spacing_mm)
        instances = prediction.instances if chosen.objects else None
        found, notes = radiomics(item.case.scan, prediction.every_class, instances, settings, classes=chosen.classes)
        write_text(context.case_folder / FILE, table_of_features(found))
        return replace(item, notes=tuple(notes))

    def report(self, value: Segmented) -> CaseReport:
        """Report which regions have no radiomics."""
        return CaseReport(notes=value.notes)


def table_of_features(found: Iterable[RegionFeature]) -> str:
    """Return the text of `radiomics.csv`: a row for each region and feature."""
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(COLUMNS)
    for one in found:
        number = "" if one.object_id is None else one.object_id
        feature = one.feature
        start = [one.class_name, number, one.channel, feature.family, feature.name, feature.code]
        writer.writerow([*start, one.column, f"{one.value:.8g}"])
    return stream.getvalue()
