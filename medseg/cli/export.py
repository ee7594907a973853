"""`medseg export`: labels for radiologists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import (
    INPUT,
    MODEL,
    WRITE,
    JsonOption,
    OptionalModelOption,
    OutOption,
    argument,
    option,
)
from medseg.cli.verb import print_json
from medseg.config.bounds import LABEL_FORMATS, LabelFormats, Pattern
from medseg.harmless import one_line


def export(
    labels: Annotated[
        Path,
        argument(
            INPUT,
            "LABELS",
            help="Label map: NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT; or instances.nii.gz.",
            exists=True,
        ),
    ],
    out: OutOption,
    formats: Annotated[
        str,
        option(
            WRITE,
            "--format",
            "-f",
            help=f"Formats to write: {', '.join(LABEL_FORMATS)}.",
            metavar="FORMAT,...",
            kind=LabelFormats,
        ),
    ],
    source: Annotated[
        Path | None,
        option(
            INPUT,
            "--source",
            help="Scan that the labels belong to; DICOM formats need its series.",
            metavar="PATH",
            exists=True,
        ),
    ] = None,
    model: OptionalModelOption = None,
    manual: Annotated[bool, option(MODEL, "--manual", help="Say in the files that a person drew the labels.")] = False,
    reviewer: Annotated[
        str | None,
        option(
            MODEL,
            "--reviewer",
            help="Person who drew or reviewed them; written into DICOM SEG and RTSTRUCT.",
            metavar="NAME",
        ),
    ] = None,
    structures: Annotated[
        str,
        option(
            INPUT,
            "--structures",
            help="Regular expression for the structures of an RTSTRUCT to take. By default, all of them.",
            metavar="PATTERN",
            show_default=False,
            kind=Pattern,
        ),
    ] = ".*",
    json: JsonOption = False,
) -> int:
    """Write a label map in formats that radiology, radiotherapy and 3D programs read.

    The labels are put on the scan's own grid where their voxels coincide, and rejected where they do not; nothing is
    resampled. Files are called labels.seg.dcm, labels.rtstruct.dcm, labels.glb and so on.

    Example: medseg export results/case/labels.nii.gz --source scans/series/ --format dicom-seg,sr --model hippocampus
    --out for-pacs
    """
    from medseg.review.export import export as export_labels

    written = export_labels(
        labels,
        out,
        format=formats,
        source=source,
        model=model,
        manual=manual,
        reviewer=reviewer,
        structures=structures,
    )
    if json:
        print_json({"files": [str(path) for path in written]})
    else:
        for path in written:
            typer.echo(one_line(path))
    return 0
