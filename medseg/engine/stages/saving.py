"""Stages that write results into the folder of the case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from pydantic import Field, field_validator

from medseg.engine.stages.options import StageOptions, WithoutOptions
from medseg.errors import FormatLimitation
from medseg.io.files.atomic import write_text
from medseg.io.formats import WRITERS, Labeled, write
from medseg.io.instances import write_instances
from medseg.io.measurements import table_of_measurements
from medseg.types import FoundScan, Instances
from medseg.types.case_report import CaseReport
from medseg.types.instances import ObjectsOfCase
from medseg.types.quality import Flag
from medseg.types.run import Measured, Segmented
from medseg.types.stage import RunContext, Where

RESAMPLED = (
    "Files that need an even grid, such as labels.nii.gz, are on the resampled one; DICOM objects are on the slices of "
    "the source, each with the labels of the nearest place."
)


@dataclass(frozen=True)
class Save:
    """Writes labels in every requested format, and the table of volumes."""

    class Options(StageOptions):
        """Formats of the labels, and whether probabilities are saved."""

        formats: tuple[str, ...] = Field(
            default=("nifti", "dicom-seg"),
            min_length=1,
            description="a format that needs a DICOM source is skipped for other scans, unless there is no other",
        )
        probabilities: bool = Field(default=True, description="write probabilities.nii.gz where there are any")

        @field_validator("formats")
        @classmethod
        def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
            if unknown := [name for name in formats if name not in WRITERS]:
                raise ValueError(f"unknown format '{unknown[0]}'; there are {', '.join(WRITERS)}")
            return formats

    options: Options
    runs: ClassVar[Where] = "aside"

    def check(self, found: FoundScan) -> None:
        """Refuse a scan that none of the formats can be written for."""
        self._formats_of(found.format)

    def _formats_of(self, scan_format: str) -> list[str]:
        """Formats that can be written for a scan of this format; `FormatLimitation` where there is none."""
        formats = self.options.formats
        possible = [name for name in formats if scan_format == "dicom" or not WRITERS[name].needs_dicom]
        if not possible:
            raise FormatLimitation(
                f"{', '.join(formats)} can be written for DICOM scans only, and this scan is not DICOM",
                fix="Add a format such as nifti: --format nifti,dicom-seg.",
            )
        return possible

    def run(self, item: Segmented, context: RunContext) -> Segmented:
        """Write `labels.*`, `measurements.csv` and, where there are objects, `instances.*` into the case's folder."""
        warnings, notes, read_back = self._write_labels(item, context)
        source, prediction = item.case.scan.source, item.prediction
        if prediction.instances is not None:
            write_instances(prediction.instances, context.case_folder, source, item.model.mark)
        maps = {"entropy": prediction.entropy}
        if self.options.probabilities:
            maps["probabilities"] = prediction.probabilities
        for name, values in maps.items():
            if values is not None:
                from medseg.io.nifti import write_probabilities

                path = context.case_folder / f"{name}.nii.gz"
                write_probabilities(values, prediction.labels.geometry, path, source, item.model.mark)
        table = table_of_measurements(item.volumes, item.quality, item.model.mark)
        write_text(context.case_folder / "measurements.csv", table)
        return replace(item, warnings=tuple(warnings), notes=tuple(notes), read_back=read_back)

    def _write_labels(self, item: Segmented, context: RunContext) -> tuple[list[str], list[str], dict[str, Measured]]:
        """Write every format the scan allows.

        Returns warnings of those that are missing, notes on the others, and what came of reading them back.
        """
        source, prediction = item.case.scan.source, item.prediction
        labeled = Labeled(
            prediction.every_class,
            source,
            item.model,
            probabilities=prediction.probabilities,
            instances=prediction.instances,
            volumes=item.volumes,
        )
        formats = self._formats_of(source.format)
        failures: dict[str, FormatLimitation] = {}
        read_back: dict[str, Measured] = {}
        notes = [RESAMPLED] if source.slice_places is not None else []
        for name in formats:
            try:
                written = write(name, labeled, context.case_folder)
                notes += written.notes
                read_back |= written.read_back
            except FormatLimitation as error:
                failures[name] = error
        # What one format cannot carry another may; a case none can carry has failed.
        if failures.keys() == set(formats):
            raise failures[formats[0]]
        warnings = [f"{WRITERS[name].file_name} is not written: {error.what}" for name, error in failures.items()]
        return warnings, notes, read_back

    def report(self, value: Segmented) -> CaseReport:
        """Report which formats are missing, and what some readers of the others will not have right."""
        return CaseReport(tuple(Flag(text) for text in value.warnings), value.notes, read_back=value.read_back)


class SaveObjects(WithoutOptions):
    """Writes the id map and the table of a case into its folder."""

    runs: ClassVar[Where] = "aside"

    def run(self, item: ObjectsOfCase, context: RunContext) -> Instances:
        """Write `instances.nii.gz` and `instances.csv`."""
        write_instances(item.instances, context.case_folder, item.case.scan.source)
        return item.instances
