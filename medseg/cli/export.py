"""`medseg export`: labels for radiologists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import (
    INPUT,
    LABEL_FORMATS,
    MODEL,
    WRITE,
    JsonOption,
    OptionalModelOption,
    OutOption,
    comma_separated,
    split_names,
)
from medseg.cli.verb import print_json

__all__ = ["export"]


def export(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            exists=True,
            help="Label map: NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT; or instances.nii.gz.",
            rich_help_panel=INPUT,
        ),
    ],
    out: OutOption,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT,...",
            callback=comma_separated(*LABEL_FORMATS),
            help=f"Formats to write: {', '.join(LABEL_FORMATS)}.",
            rich_help_panel=WRITE,
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Option(
            "--source",
            exists=True,
            help="Scan that the labels belong to; DICOM formats need its series.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    model: OptionalModelOption = None,
    manual: Annotated[
        bool, typer.Option("--manual", help="The labels were drawn by a person.", rich_help_panel=MODEL)
    ] = False,
    reviewer: Annotated[
        str | None,
        typer.Option(
            "--reviewer",
            metavar="NAME",
            help="Who drew or reviewed them; written into DICOM SEG and RTSTRUCT.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    structures: Annotated[
        str,
        typer.Option(
            "--structures", help="Regular expression for the structures of an RTSTRUCT to take.", rich_help_panel=INPUT
        ),
    ] = ".*",
    json: JsonOption = False,
) -> int:
    """Write a label map in formats that radiology, radiotherapy and 3D programs read.

    The labels are put on the scan's own grid where their voxels coincide, and refused where they do not; nothing is
    resampled. Files are called labels.seg.dcm, labels.rtstruct.dcm, labels.glb and so on.

    Example: medseg export results/case/labels.nii.gz --source scans/series/ --format dicom-seg,sr --model hippocampus
    --out for-pacs
    """
    from medseg.review.export import export as export_labels

    written = export_labels(
        labels,
        out,
        format=split_names(formats),
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
            typer.echo(path)
    return 0
