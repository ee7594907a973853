"""What a model predicts of a scan, measured and checked, for people who write Python."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medseg.config.arguments import check_arguments
from medseg.config.bounds import LabelFormats, Pixels, names_in
from medseg.config.load import build
from medseg.draw.page import png_url
from medseg.draw.preview import draw_preview
from medseg.engine.stages.drawing import Preview
from medseg.engine.stages.saving import Save
from medseg.io.discover import RESULTS
from medseg.io.files.writable import check_not_read, check_writable, output_folder
from medseg.io.formats import Labeled, write_file
from medseg.post.class_values import measure_values
from medseg.post.intervals import with_intervals
from medseg.post.quality import check_or_withhold
from medseg.post.volumes import measure_volumes
from medseg.types import Case, Instances, LabelMap, ModelIdentity, OverlappingLabels
from medseg.types import Prediction as Predicted
from medseg.types.case_report import CaseReport, combined
from medseg.types.class_values import ClassValues
from medseg.types.quality import Flag
from medseg.types.run import Segmented
from medseg.types.stage import RunContext
from medseg.types.volume_interval import VolumeInterval

if TYPE_CHECKING:
    import nibabel as nib


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Labels of one scan on its own grid, with what `medseg predict` says of the case.

    Parameters
    ----------
    segmented : Segmented
        The scan, the model's prediction, volumes and quality.
    report : CaseReport
        Warnings, notes and review priority.
    """

    segmented: Segmented
    report: CaseReport

    @classmethod
    def checked(cls, case: Case, prediction: Predicted) -> Prediction:
        """Measure and check a prediction."""
        volumes = measure_volumes(prediction.every_class, prediction.instances, prediction.extent)
        volumes = with_intervals(volumes, prediction)
        volumes = measure_values(case.scan, prediction.every_class, volumes)
        quality = check_or_withhold(prediction, volumes)
        source = case.scan.source
        found = CaseReport(tuple(Flag(text) for text in (*source.warnings, *prediction.warnings)), source.notes)
        report = combined(
            [
                found,
                CaseReport(notes=(*prediction.notes, *volumes.notes)),
                CaseReport(quality.flags, uncertainty=quality.uncertainty),
            ]
        )
        return cls(Segmented(case, prediction, volumes, quality), report)

    def __repr__(self) -> str:
        volumes = ", ".join(map(str, self.segmented.volumes.rows))
        return f"Prediction({self.labels.geometry.summary}, {volumes}, warnings={len(self.warnings)})"

    @property
    def labels(self) -> LabelMap:
        """Class of each voxel, (X, Y, Z), on the scan's own grid; of `overlapping` classes one of those it has."""
        return self.segmented.prediction.labels

    @property
    def overlapping(self) -> OverlappingLabels | None:
        """All classes of each voxel, where the model's classes may share voxels: ``overlapping.mask(value)``."""
        return self.segmented.prediction.overlapping

    @property
    def probabilities(self) -> npt.NDArray[np.floating[Any]] | None:
        """Probability of each class, (classes, X, Y, Z), background first, where ``save`` named it."""
        return self.segmented.prediction.probabilities

    @property
    def entropy(self) -> npt.NDArray[np.floating[Any]] | None:
        """Uncertainty of each voxel, 0 to 1, (X, Y, Z), where ``save`` named it."""
        return self.segmented.prediction.entropy

    @property
    def instances(self) -> Instances | None:
        """Objects, where the model makes them."""
        return self.segmented.prediction.instances

    @property
    def model(self) -> ModelIdentity:
        """Name, version and SHA-256 of the model package."""
        return self.segmented.model

    @property
    def volumes(self) -> Mapping[str, float]:
        """Volume of each class in ml; of a 2D image, its area in mm², or in pixels where their size is not known."""
        return {row.class_name: row.size for row in self.segmented.volumes.rows}

    @property
    def intervals(self) -> Mapping[str, VolumeInterval]:
        """Between which sizes that of each class lies as a rule, where the model's card allows that to be said."""
        return {row.class_name: row.interval for row in self.segmented.volumes.rows if row.interval is not None}

    @property
    def values(self) -> Mapping[str, tuple[ClassValues, ...]]:
        """The scan's values inside each class that was found, channel by channel: mean, median and others."""
        return {row.class_name: row.values for row in self.segmented.volumes.rows if row.values}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may be wrong; each counts in `review_priority`."""
        return tuple(flag.text for flag in self.report.warnings)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is good to know, and counts nothing."""
        return self.report.notes

    @property
    def review_priority(self) -> float:
        """How urgently a person should look at it: the weights of the warnings, and below 1 the uncertainty."""
        return self.report.review_priority

    def to_nibabel(self) -> nib.Nifti1Image:
        """Return the labels as a nibabel image; of classes that may overlap, with one channel for each."""
        return self.segmented.prediction.every_class.to_nibabel()

    @check_arguments
    def save(self, path: str | Path, *, format: LabelFormats = ("nifti", "dicom-seg")) -> Path:
        """Write the labels to a file, or what `medseg predict` writes of a case to a folder.

        Parameters
        ----------
        path : str or Path
            A file whose name ends in .nii.gz, .nii, .nrrd, .mha, .stl, .obj, .glb, or in .seg.dcm for a DICOM scan;
            without any suffix a folder.
        format : str or sequence of str
            For a folder: as ``medseg predict --format``.

        Returns
        -------
        Path
            The file or folder.

        Raises
        ------
        UsageError
            When the name ends in anything else, nothing can be written there, or the scan itself is there.
        FormatLimitation
            When the format cannot hold these labels.
        """
        target = Path(path)
        check_writable(target)
        read = self.segmented.case.scan.source.files
        if not target.suffix or target.is_dir():
            output_folder(target)
            check_not_read((target / name for name in RESULTS), read)
            save = build(Save.Options, {"formats": names_in(format)}, where="Prediction.save")
            context = RunContext(target.parent, target.name)
            Preview(Preview.Options()).run(Save(save).run(self.segmented, context), context)
            return target
        check_not_read(target, read)
        write_file(
            Labeled(self.segmented.prediction.every_class, self.segmented.case.scan.source, self.segmented.model),
            target,
        )
        return target

    @check_arguments
    def plot(self, *, size: Pixels = 300) -> Image.Image:
        """Draw the axial, coronal and sagittal plane in which the labels are largest, as predict's preview.

        Parameters
        ----------
        size : int
            Width and height in pixels of each plane.

        Returns
        -------
        PIL.Image.Image
            A notebook shows it; ``.show()`` opens it, ``.save("preview.png")`` writes it.

        Raises
        ------
        UsageError
            When there are fewer than 16 pixels.
        """
        made, mark = self.segmented, self.segmented.model.mark
        return draw_preview(made.case.scan, self.labels, made.volumes, instances=self.instances, size=size, mark=mark)

    def _repr_html_(self) -> str:
        """Return preview, volumes and warnings, as a notebook shows them."""
        rows = "".join(
            f"<tr><td>{html.escape(str(row))}</td><td>{html.escape(str(row.interval or ''))}</td></tr>"
            for row in self.segmented.volumes.rows
        )
        warnings = "".join(f"<li>{html.escape(text)}</li>" for text in self.warnings)
        return (
            f'<img alt="preview" src="{png_url(self.plot())}"><table>{rows}</table>'
            f"<ul>{warnings}</ul><p>{html.escape(str(self.model))}</p>"
        )
