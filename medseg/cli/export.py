"""`medseg export`: labels for radiologists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json

__all__ = ["export"]


def export(
    labels: Annotated[
        Path, typer.Argument(help="A label map: NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT; or instances.nii.gz.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Comma-separated: nifti, nrrd, dicom-seg, dicom-seg-labelmap, dicom-seg-fractional, "
            "dicom-seg-objects, rtstruct, sr, sc, stl, obj, gltf.",
        ),
    ],
    source: Annotated[
        Path | None, typer.Option("--source", help="The scan the labels belong to; DICOM formats need its series.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model that made the labels: a shipped name or a package.")
    ] = None,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="A person made the labels.")] = False,
    structures: Annotated[
        str, typer.Option("--structures", help="Of an RTSTRUCT, a regular expression for the names to take.")
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

    names = [name.strip() for name in formats.split(",") if name.strip()]
    written = export_labels(labels, names, out, source=source, model=model, by_hand=by_hand, pattern=structures)
    if json:
        print_json({"files": [str(path) for path in written]})
    else:
        for path in written:
            typer.echo(path)
    return 0
