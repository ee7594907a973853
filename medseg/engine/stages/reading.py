"""Stages at the start of a pipeline: find scans, and read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from medseg.engine.stages.options import StageOptions
from medseg.isolation.process import Guard
from medseg.types.case_report import CaseReport
from medseg.types.quality import Flag
from medseg.types.run import Inputs
from medseg.types.scan import Case, Discovery, FoundScan
from medseg.types.stage import RunContext, Where


@dataclass(frozen=True)
class Discover:
    """Finds every scan under some files and folders, and chooses among the series of each DICOM study."""

    class Options(StageOptions):
        """Which series of a DICOM study are read."""

        series: str | None = Field(
            default=None,
            description="series UID, number, case id, or description with * and ?; '*' for all; without it, the one "
            "of each study that fits the model's card",
        )

        keep_names: bool = Field(
            default=False, description="leave file names that look like a patient's in case ids and reports"
        )

    options: Options

    def run(self, item: Inputs, context: RunContext) -> Discovery:
        """Search the inputs, but not the run's own output folder, unless an input lies inside it."""
        from medseg.io.dicom.series_choice import choose_series, named_series
        from medseg.io.discover import discover

        guard = Guard(item.max_memory, item.max_seconds)
        discovery = discover(item.paths, keep_names=self.options.keep_names, guard=guard)
        named = tuple(path.resolve() for path in item.paths if path.resolve() != context.out)
        named = tuple(path for path in named if path.is_relative_to(context.out))

        def is_input(path: Path) -> bool:
            path = path.resolve()
            return not path.is_relative_to(context.out) or any(path.is_relative_to(inside) for inside in named)

        discovery = Discovery(
            tuple(scan for scan in discovery.found if is_input(scan.files[0])),
            tuple(skipped for skipped in discovery.skipped if is_input(skipped.path)),
        )
        if self.options.series is not None:
            return named_series(discovery, self.options.series)
        return discovery if item.series_criteria is None else choose_series(discovery, item.series_criteria, item.paths)


@dataclass(frozen=True)
class Read:
    """Reads one scan."""

    class Options(StageOptions):
        """How scans with missing or uneven slices are read."""

        allow_uneven: bool = Field(
            default=False, description="resample missing or unevenly spaced DICOM slices instead of rejecting the scan"
        )
        allow_incomplete: bool = Field(
            default=False, description="read DICOM series that lost a part without it instead of rejecting them"
        )

    options: Options
    runs: ClassVar[Where] = "ahead"

    def run(self, item: FoundScan, context: RunContext) -> Case:
        """Read the scan; raises `InputError` where it cannot be read."""
        from medseg.io.read import read_scan

        allowed = self.options
        scan = read_scan(item, allow_uneven=allowed.allow_uneven, allow_incomplete=allowed.allow_incomplete)
        return Case(item.case_id, (scan,))

    def report(self, value: Case) -> CaseReport:
        """Report what the reader had to say, and the size of the scan."""
        source = value.scan.source
        voxels = sum(scan.array.size for scan in value.scans)
        return CaseReport(tuple(Flag(text) for text in source.warnings), source.notes, voxels=voxels)
