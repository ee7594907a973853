"""`medseg crop`: the part of a scan around a point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import (
    INPUT,
    WHAT,
    AllowIncompleteOption,
    AllowUnevenOption,
    JsonOption,
    OptionalModelOption,
    argument,
    option,
)
from medseg.cli.verb import print_json
from medseg.config.bounds import BoxSize, Point


def crop(
    scan: Annotated[
        Path, argument(INPUT, "SCAN", help="Scan: a file, or a folder with one DICOM series.", exists=True)
    ],
    around: Annotated[
        str,
        option(
            WHAT,
            "--around",
            help="Middle of the crop, mm RAS+: to the right, to the front, up.",
            metavar="X,Y,Z",
            kind=Point,
        ),
    ],
    out: Annotated[
        Path, option(INPUT, "--out", "-o", help="File to write: .nii.gz, .nii, .nrrd or .mha.", metavar="FILE")
    ],
    size: Annotated[
        str | None,
        option(
            WHAT,
            "--size",
            help="Size of the crop along these directions, mm. By default, what the model was trained on.",
            metavar="X,Y,Z",
            kind=BoxSize,
        ),
    ] = None,
    model: OptionalModelOption = None,
    allow_uneven: AllowUnevenOption = False,
    allow_incomplete: AllowIncompleteOption = False,
    json: JsonOption = False,
) -> int:
    """Write the part of a scan around a point, for a model that is given crops; its voxels stay as they are.

    Example: medseg crop head.nii.gz --around -25,-22,-14 --model hippocampus --out left.nii.gz
    """
    from medseg.review.crop import crop as crop_file

    path = crop_file(
        scan, around, out, size=size, model=model, allow_uneven=allow_uneven, allow_incomplete=allow_incomplete
    )
    if json:
        print_json({"file": str(path)})
    else:
        typer.echo(path)
    return 0
