"""Stages at the two ends of a pipeline: find, read, save."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from medseg.engine.stage import RunContext
from medseg.errors import FormatLimitation
from medseg.io.atomic import write_text
from medseg.io.measurements import table_of_measurements
from medseg.types.run import Inputs, Segmented
from medseg.types.scan import Case, Discovery, FoundScan

__all__ = ["Discover", "Read", "Save"]


RESAMPLED = (
    "files that need an even grid, such as labels.nii.gz, are on the resampled one; DICOM objects are on the slices of "
    "the source, each with the labels of the place nearest to it"
)


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
        from medseg.io.discover import discover
        from medseg.io.series_choice import choose_series, named_series

        discovery = discover(item.paths)
        named = tuple(path.resolve() for path in item.paths if path.resolve() != context.out)
        named = tuple(path for path in named if path.is_relative_to(context.out))

        def wanted(path: Path) -> bool:
            path = path.resolve()
            return not path.is_relative_to(context.out) or any(path.is_relative_to(inside) for inside in named)

        discovery = Discovery(
            tuple(scan for scan in discovery.found if wanted(scan.files[0])),
            tuple(left for left in discovery.left_out if wanted(left.path)),
        )
        if self.options.series is not None:
            return named_series(discovery, self.options.series)
        if self.options.model is None:
            return discovery
        from medseg.models.package import load_package

        card = load_package(self.options.model).card.input
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


class Save:
    """Writes labels in every format asked for, and the table of volumes."""

    class Options(_Options):
        """Which formats."""

        formats: tuple[str, ...] = Field(
            default=("nifti", "dicom-seg"),
            description="a format that needs a DICOM source is left out for other scans, unless there is no other",
        )
        scores: bool = Field(default=True, description="write scores.nii.gz where there are scores")

        @field_validator("formats")
        @classmethod
        def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
            from medseg.io.formats import WRITERS

            if unknown := [name for name in formats if name not in WRITERS]:
                raise ValueError(f"unknown format '{unknown[0]}'; there are {', '.join(WRITERS)}")
            return formats

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Segmented, context: RunContext) -> Segmented:
        """Write `labels.*`, `measurements.csv` and, where there are objects, `instances.*` into the case's folder."""
        from medseg.io.formats import WRITERS, Labelled, write

        source, prediction = item.case.scan.source, item.prediction
        labelled = Labelled(
            prediction.labels, source, prediction.model, scores=prediction.scores, instances=prediction.instances
        )
        if source.format != "dicom" and all(WRITERS[name].needs_dicom for name in self.options.formats):
            raise FormatLimitation(
                f"{', '.join(self.options.formats)} can be written for DICOM scans only, and this is none",
                fix="Add a format such as nifti: --format nifti,dicom-seg.",
            )
        notes: list[str] = []
        if source.slice_places is not None:
            notes.append(RESAMPLED)
        for name in self.options.formats:
            writer = WRITERS[name]
            if writer.needs_dicom and source.format != "dicom":
                continue
            try:
                notes += write(name, labelled, context.case_folder)[1]
            except FormatLimitation as error:
                # What one format cannot carry another may; a case none can carry has failed.
                if len(self.options.formats) == 1:
                    raise
                notes.append(f"{writer.file_name} is not written: {error.what}")
        if prediction.instances is not None:
            from medseg.io.instances import write_instances

            write_instances(prediction.instances, context.case_folder, source)
        for name, shares in (("scores", prediction.scores), ("entropy", prediction.entropy)):
            if shares is not None and (name != "scores" or self.options.scores):
                from medseg.io.nifti import write_shares

                write_shares(shares, prediction.labels.geometry, context.case_folder / f"{name}.nii.gz", source)
        write_text(context.case_folder / "measurements.csv", table_of_measurements(item.volumes, item.quality))
        return replace(item, notes=tuple(notes))
