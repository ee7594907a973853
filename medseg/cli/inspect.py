"""`medseg inspect`: what is in there, with a verdict for each volume."""

from __future__ import annotations

from typing import Annotated

import typer

from medseg.cli.options import (
    RUN,
    WRITE,
    AllowUnevenOption,
    InputsArgument,
    JsonOption,
    OptionalModelOption,
    OptionalOutOption,
)
from medseg.cli.verb import print_json

__all__ = ["inspect"]

PICTURE = 192  # longer side of the pictures on the page, pixels


def inspect(
    inputs: InputsArgument,
    out: OptionalOutOption = None,
    model: OptionalModelOption = None,
    headers_only: Annotated[
        bool,
        typer.Option(
            "--headers-only", help="Do not read voxels: quick, but blind to truncated files.", rich_help_panel=RUN
        ),
    ] = False,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Draw thumbnails in the terminal.", rich_help_panel=WRITE)
    ] = False,
    allow_uneven: AllowUnevenOption = False,
    json: JsonOption = False,
) -> int:
    """Show every volume under some files and folders, with a verdict, and why each other file is skipped.

    A good verdict means that medseg read the volume to its last voxel and knows where each one lies. Exit code: 0 all
    good, 3 some refused or broken, 4 nothing good.

    Example: medseg inspect scans/ --out seen
    """
    from medseg.review.inspect import inspect as inspect_files

    wanted = None
    if model is not None:
        from medseg.tracking.resolve import resolve_model

        wanted = resolve_model(model).card.input.wanted()
    title = ", ".join(map(str, inputs))
    inspection = inspect_files(
        inputs,
        headers_only=headers_only,
        allow_uneven=allow_uneven,
        wanted=wanted,
        picture_size=64 if out is None else PICTURE,
    )
    if out is not None:
        from medseg.io.files.atomic import atomic_path, write_text
        from medseg.review.inspect_page import inspection_page

        for volume in inspection.volumes:
            if volume.thumbnail is not None:
                with atomic_path(out / f"{volume.found.case_id}.png") as part:
                    volume.thumbnail.save(part)
        write_text(out / "index.html", inspection_page(inspection, title))
    if json:
        print_json(inspection.as_json())
    else:
        from rich.console import Console

        from medseg.review.inspect_tree import inspection_tree

        Console().print(inspection_tree(inspection, title, pictures=pictures))
    return inspection.exit_code
