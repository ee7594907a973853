"""Stages at the two ends of a pipeline: find, read, save."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from medseg.types.run import Inputs
from medseg.types.scan import Case, Discovery, FoundScan
from medseg.types.stage import RunContext

__all__ = ["Discover", "Read"]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Discover:
    """Finds every scan under some files and folders, and chooses among the series of each DICOM study."""

    class Options(_Options):
        """Which series of a DICOM study count; without either, all of them."""

        series: str | None = Field(
            default=None, description="series UID, number, case id, or description with * and ?; '*' for all"
        )
        model: str | None = Field(default=None, description="a model whose card says which series it wants")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Inputs, context: RunContext) -> Discovery:
        """Walk the inputs; the run's own output folder is not searched, but for an input named inside it.

        Raises
        ------
        UsageError
            When no series is the one asked for.
        """
        from medseg.io.dicom.series_choice import choose_series, named_series
        from medseg.io.discover import discover

        discovery = discover(item.paths)
        named = tuple(path.resolve() for path in item.paths if path.resolve() != context.out)
        named = tuple(path for path in named if path.is_relative_to(context.out))

        def wanted(path: Path) -> bool:
            path = path.resolve()
            return not path.is_relative_to(context.out) or any(path.is_relative_to(inside) for inside in named)

        discovery = Discovery(
            tuple(scan for scan in discovery.found if wanted(scan.files[0])),
            tuple(left for left in discovery.skipped if wanted(left.path)),
        )
        if self.options.series is not None:
            return named_series(discovery, self.options.series)
        if self.options.model is None:
            return discovery
        from medseg.tracking.resolve import resolve_model

        card = resolve_model(self.options.model).card.input
        # What several channels are taken from is not one series.
        return discovery if len(card.channels) > 1 else choose_series(discovery, card.wanted(), item.paths)


class Read:
    """Reads one scan."""

    class Options(_Options):
        """What to make of what is not as it should be."""

        allow_uneven: bool = Field(
            default=False, description="resample missing or unevenly spaced DICOM slices instead of refusing the scan"
        )

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: FoundScan, context: RunContext) -> Case:
        """Read the scan; raises `InputError` where it cannot be read."""
        from medseg.io.read import read_scan

        return Case(item.case_id, (read_scan(item, allow_uneven=self.options.allow_uneven),))
