"""`medseg inspect`: what is in there, with a verdict for each volume."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from medseg.cli.options import (
    RUN,
    WRITE,
    AllowIncompleteOption,
    AllowUnevenOption,
    InputsArgument,
    JsonOption,
    MaxMemoryOption,
    MaxSecondsOption,
    OptionalModelOption,
    OptionalOutOption,
    RootOption,
    option,
)
from medseg.cli.verb import log, print_json


def inspect(
    inputs: InputsArgument,
    out: OptionalOutOption = None,
    model: OptionalModelOption = None,
    manifest: Annotated[
        Path | None,
        option(
            WRITE,
            "--manifest",
            help="Write a table of the volumes here, for `medseg predict --manifest`; with --model, of those it would "
            "take.",
            metavar="CSV",
            dir_okay=False,
        ),
    ] = None,
    root: RootOption = None,
    headers_only: Annotated[
        bool, option(RUN, "--headers-only", help="Read no voxels: quick, but blind to truncated files.")
    ] = False,
    thumbnails: Annotated[bool, option(WRITE, "--thumbnails", help="Draw thumbnails in the terminal.")] = False,
    allow_uneven: AllowUnevenOption = False,
    allow_incomplete: AllowIncompleteOption = False,
    max_memory: MaxMemoryOption = None,
    max_seconds: MaxSecondsOption = None,
    json: JsonOption = False,
) -> int:
    """Show every volume under some files and folders, with a verdict, and why each other file is skipped.

    A volume is valid when medseg read it to its last voxel and knows where each one lies. Exit code: 0 all valid,
    3 some volumes rejected or files corrupt, 4 nothing valid.

    Example: medseg inspect scans/ --out inspection
    """
    from medseg.review.inspect import inspect as inspect_files

    inspection = inspect_files(
        inputs,
        out,
        model=model,
        manifest=manifest,
        root=root,
        headers_only=headers_only,
        allow_uneven=allow_uneven,
        allow_incomplete=allow_incomplete,
        max_memory=max_memory,
        max_seconds=max_seconds,
    )
    if json:
        print_json(inspection.as_json())
    else:
        from rich.console import Console

        from medseg.harmless import trusted
        from medseg.review.inspect_tree import inspection_tree

        Console(file=trusted(sys.stdout)).print(
            inspection_tree(inspection, ", ".join(map(str, inputs)), thumbnails=thumbnails)
        )
    if not inspection.volumes:
        log.error("no scan was found")
    return inspection.exit_code
