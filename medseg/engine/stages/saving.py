"""Stages that write results into the folder of the case."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, field_validator

from medseg.errors import FormatLimitation
from medseg.io.files.atomic import write_text
from medseg.io.instances import write_instances
from medseg.io.measurements import table_of_measurements
from medseg.types import Instances
from medseg.types.instances import ObjectsOfCase
from medseg.types.run import Segmented
from medseg.types.stage import RunContext

__all__ = ["RESAMPLED", "Save", "SaveObjects"]

RESAMPLED = (
    "files that need an even grid, such as labels.nii.gz, are on the resampled one; DICOM objects are on the slices of "
    "the source, each with the labels of the place nearest to it"
)


class Save:
    """Writes labels in every format asked for, and the table of volumes."""

    class Options(BaseModel):
        """Which formats."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        formats: tuple[str, ...] = Field(
            default=("nifti", "dicom-seg"),
            description="a format that needs a DICOM source is skipped for other scans, unless there is no other",
        )
        probabilities: bool = Field(
            default=True, description="write probabilities.nii.gz where there are probabilities"
        )

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
        from medseg.io.formats import WRITERS, Labeled, write

        source, prediction = item.case.scan.source, item.prediction
        labeled = Labeled(
            prediction.labels,
            source,
            prediction.model,
            probabilities=prediction.probabilities,
            instances=prediction.instances,
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
                notes += write(name, labeled, context.case_folder)[1]
            except FormatLimitation as error:
                # What one format cannot carry another may; a case none can carry has failed.
                if len(self.options.formats) == 1:
                    raise
                notes.append(f"{writer.file_name} is not written: {error.what}")
        if prediction.instances is not None:
            from medseg.io.instances import write_instances

            write_instances(prediction.instances, context.case_folder, source)
        for name, shares in (("probabilities", prediction.probabilities), ("entropy", prediction.entropy)):
            if shares is not None and (name != "probabilities" or self.options.probabilities):
                from medseg.io.nifti import write_probabilities

                write_probabilities(shares, prediction.labels.geometry, context.case_folder / f"{name}.nii.gz", source)
        write_text(context.case_folder / "measurements.csv", table_of_measurements(item.volumes, item.quality))
        return replace(item, notes=tuple(notes))


class SaveObjects:
    """Writes the id map and the table of a case into its folder."""

    class Options(BaseModel):
        """Nothing to choose yet."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: ObjectsOfCase, context: RunContext) -> Instances:
        """Write `instances.nii.gz` and `instances.csv`."""
        write_instances(item.instances, context.case_folder, item.case.scan.source)
        return item.instances
