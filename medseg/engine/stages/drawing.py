"""Stages that draw: the preview of a case, and the report of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from medseg.draw.preview import draw_preview
from medseg.engine.batch_report import table_of_cases, write_report
from medseg.engine.stages.options import StageOptions
from medseg.io.files.atomic import atomic_path, write_text
from medseg.types.run import BatchResult, Segmented
from medseg.types.stage import RunContext, Where

PNG_LEVEL = 1


@dataclass(frozen=True)
class Preview:
    """Draws `preview.png` into the case's folder."""

    class Options(StageOptions):
        """Size of the preview."""

        size: int = Field(default=300, ge=64, le=2000, description="pixels along each plane")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: Segmented, context: RunContext) -> Segmented:
        """Draw and write."""
        found = item.prediction
        preview = draw_preview(
            item.case.scan,
            found.labels,
            item.volumes,
            instances=found.instances,
            size=self.options.size,
            mark=item.model.mark,
        )
        with atomic_path(context.case_folder / "preview.png") as part:
            # A third more bytes than the default level gives, in a fifth of its time.
            preview.save(part, format="PNG", compress_level=PNG_LEVEL)
        return item


@dataclass(frozen=True)
class BatchReport:
    """Writes `cases.csv` and `report.html`, during a run and at its end."""

    class Options(StageOptions):
        """Content of the report."""

        previews: int = Field(default=200, ge=0, description="previews embedded at most, made small; more are linked")

    options: Options
    refreshes: ClassVar[bool] = True

    def run(self, item: BatchResult, context: RunContext) -> BatchResult:
        """Write both into the output folder."""
        write_text(context.out / "cases.csv", table_of_cases(item))
        write_report(item, previews=self.options.previews)
        return item
