"""Stages at the start of a pipeline: find scans, and read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from medseg.counted import counted
from medseg.engine.stages.options import StageOptions
from medseg.errors import InputError, UsageError, did_you_mean
from medseg.isolation.process import Guard
from medseg.types.case_report import CaseReport
from medseg.types.channels import WantedChannel
from medseg.types.quality import Flag
from medseg.types.run import Inputs
from medseg.types.scan import Case, Discovery, FoundScan, Scan
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

        channels: dict[str, str] = Field(
            default={},
            description="for a model of several channels: channel name to what its files or series descriptions are "
            "called, with * and ?; those not named are found by the channel's own name",
        )

    options: Options

    def run(self, item: Inputs, context: RunContext) -> Discovery:
        """Search the inputs, but not the run's own output folder, unless an input lies inside it."""
        from medseg.engine.channel_cases import group_channels
        from medseg.engine.channel_table import is_table, table_cases, table_rows
        from medseg.io.dicom.series_choice import choose_series, named_series
        from medseg.io.discover import discover
        from medseg.io.files.case_id import unique
        from medseg.io.files.walk import absolute, real

        if item.manifest is not None:
            return self._listed(item, item.manifest)
        guard = Guard(item.max_memory, item.max_seconds)
        keep_names = self.options.keep_names
        tables = [path for path in item.paths if is_table(path)]
        rows = [row for path in tables for row in table_rows(path, item.channels)]
        plain = [path for path in item.paths if path not in tables]
        discovery = discover(plain, keep_names=keep_names, guard=guard) if plain else Discovery()
        named = tuple(real(path) for path in item.paths if real(path) != context.out)
        named = tuple(path for path in named if path.is_relative_to(context.out))

        def is_input(path: Path) -> bool:
            path = real(path)
            return not path.is_relative_to(context.out) or any(path.is_relative_to(inside) for inside in named)

        discovery = Discovery(
            tuple(scan for scan in discovery.found if is_input(scan.files[0])),
            tuple(skipped for skipped in discovery.skipped if is_input(skipped.path)),
        )
        if self.options.series is not None:
            discovery = named_series(discovery, self.options.series)
        elif item.series_criteria is not None:
            discovery = choose_series(discovery, item.series_criteria, item.paths)
        if len(item.channels) > 1:
            discovery = group_channels(
                discovery, item.channels, item.paths, patterns=self._patterns(item.channels), keep_names=keep_names
            )
        if not rows:
            return discovery
        existing = [path for path in dict.fromkeys(path for _, paths in rows for path in paths) if path.exists()]
        listed = discover(existing, keep_names=keep_names, guard=guard) if existing else Discovery()
        where = ", ".join(map(str, tables))
        cases, wrong = table_cases(rows, listed, item.channels, where=where, keep_names=keep_names)
        taken = [*(case.case_id for case in cases), *(left.case_id for left in wrong)]
        marks = [absolute(scan.files[0]) for scan in discovery.found]
        ids = unique([scan.case_id for scan in discovery.found], marks, taken)
        others = (replace(scan, case_id=case_id) for scan, case_id in zip(discovery.found, ids, strict=True))
        return Discovery((*others, *cases), (*discovery.skipped, *wrong))

    def _listed(self, item: Inputs, manifest: Path) -> Discovery:
        """Take the rows of a manifest as they are: each is a case, so that no series is chosen among others."""
        from medseg.engine.channel_cases import group_channels
        from medseg.engine.manifest import has_channels, read_manifest
        from medseg.io.dicom.series_choice import named_series

        keep_names = self.options.keep_names
        to_group = len(item.channels) > 1 and not has_channels(manifest)
        # Which series are named, and which scans belong together, is only known of all of them.
        part = (1, 1) if to_group or self.options.series is not None else item.part
        discovery = read_manifest(manifest, item.root, channels=item.channels, part=part, keep_names=keep_names)
        if self.options.series is not None:
            discovery = named_series(discovery, self.options.series)
        if to_group:
            patterns = self._patterns(item.channels)
            discovery = group_channels(discovery, item.channels, item.paths, patterns=patterns, keep_names=keep_names)
        return discovery

    def _patterns(self, channels: Sequence[WantedChannel]) -> Mapping[str, str]:
        known = [channel.name for channel in channels]
        unknown = next((name for name in self.options.channels if name not in known), None)
        if unknown is not None:
            raise UsageError(
                f"the model has no channel '{unknown}'",
                where="discover.channels",
                fix=f"{did_you_mean(unknown, known)} It has {', '.join(known)}.",
            )
        return self.options.channels


def _check_listed_channels(found: FoundScan, scan: Scan) -> None:
    """Refuse a scan that has not as many channels as its manifest says; of a 2D image that is what its file stores."""
    listed = None if found.recorded is None or found.format == "image2d" else found.recorded.n_channels
    if listed not in (None, scan.channels):
        raise InputError(
            f"the manifest's column n_channels says {listed}, and its file has {counted(scan.channels, 'channel')}",
            where=found.file_name,
            fix="Correct that cell or the path beside it, or empty the cell.",
        )


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
        scans = [
            read_scan(one, allow_uneven=allowed.allow_uneven, allow_incomplete=allowed.allow_incomplete)
            for one in item.channels or (item,)
        ]
        for one, scan in zip(item.channels or (item,), scans, strict=True):
            _check_listed_channels(one, scan)
        if not item.channels:
            return Case(item.case_id, (scans[0],))
        from medseg.data.join_channels import PARTLY, join_channels

        # Files are called by the case's own notes; here a series is its channel's place.
        paths = [Path(one.file_name or one.case_id) for one in item.channels]
        scan, notes = join_channels(scans, paths, resample=True)
        source = scan.source
        remembered = tuple(
            dict.fromkeys(
                (
                    *(note for one in scans for note in one.source.notes),
                    *(text for kind, text in notes if kind != PARTLY),
                )
            )
        )
        of_scans = (text for one in scans for text in one.source.warnings)
        warnings = tuple(dict.fromkeys((*of_scans, *(text for kind, text in notes if kind == PARTLY))))
        return Case(item.case_id, (replace(scan, source=replace(source, notes=remembered, warnings=warnings)),))

    def report(self, value: Case) -> CaseReport:
        """Report what the reader had to say, and the size of the scan."""
        source = value.scan.source
        voxels = sum(scan.array.size for scan in value.scans)
        return CaseReport(tuple(Flag(text) for text in source.warnings), source.notes, voxels=voxels)
