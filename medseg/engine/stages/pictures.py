"""Stages that draw: the preview of a case, and the report of a batch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from medseg.draw.preview import draw_preview
from medseg.engine.batch_report import render_report, table_of_cases
from medseg.io.files.atomic import atomic_path, write_text
from medseg.types.run import BatchResult, Segmented
from medseg.types.stage import RunContext

__all__ = ["PNG_LEVEL", "BatchReport", "PreviewPicture"]

PNG_LEVEL = 1


class PreviewPicture:
    """Stage that leaves `preview.png` in the case's folder."""

    class Options(BaseModel):
        """How large."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        size: int = Field(default=300, ge=64, le=2000, description="pixels along each plane")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Segmented, context: RunContext) -> Segmented:
        """Draw and write."""
        found = item.prediction
        picture = draw_preview(
            item.case.scan, found.labels, item.volumes, instances=found.instances, size=self.options.size
        )
        with atomic_path(context.case_folder / "preview.png") as part:
            # A third more bytes than the default level gives, in a fifth of its time.
            picture.save(part, format="PNG", compress_level=PNG_LEVEL)
        return item


class BatchReport:
    """Stage that writes both at the end of a run."""

    class Options(BaseModel):
        """How much goes into the page."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        pictures: int = Field(default=200, ge=0, description="previews embedded at most; more are linked")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: BatchResult, context: RunContext) -> BatchResult:
        """Write `cases.csv` and `report.html` into the output folder."""
        write_text(context.out / "cases.csv", table_of_cases(item))
        write_text(context.out / "report.html", render_report(item, pictures=self.options.pictures))
        return item
