"""`medseg follow`: two time points of a patient, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, WHAT, JsonOption, OutOption, argument, option
from medseg.cli.verb import print_json


def follow(
    before: Annotated[
        Path, argument(INPUT, "BEFORE", help="Earlier time point: a case's folder of results, or labels.", exists=True)
    ],
    after: Annotated[
        Path, argument(INPUT, "AFTER", help="Later time point: a case's folder of results, or labels.", exists=True)
    ],
    out: OutOption,
    scans: Annotated[
        list[Path] | None,
        option(
            INPUT,
            "--scans",
            help="Where the scans are; may be repeated. Of results, by default where the run found them; of two label "
            "files, the earlier scan first.",
            metavar="PATH",
            exists=True,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        option(
            WHAT,
            "--class",
            help="Class whose objects are followed; may be repeated. By default, the countable ones, or all where none "
            "is.",
            metavar="NAME",
        ),
    ] = None,
    short_axis: Annotated[
        list[str] | None,
        option(
            WHAT,
            "--short-axis",
            help="Class of lymph nodes, of which RECIST sums the short axis; may be repeated.",
            metavar="NAME",
        ),
    ] = None,
    registered: Annotated[
        bool,
        option(WHAT, "--registered", help="Both already lie in one space: register nothing, and need no scans."),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Compare two time points of a patient: what is new, gone, grown or shrunk, and by how much.

    Registers the later scan with the earlier one, rigidly, and withholds the comparison where that cannot be trusted.
    Leaves follow.csv, follow.json and follow.html in OUT, and follow.sr.dcm where both scans are DICOM. Exit code: 0
    compared, 3 withheld.

    Example: medseg follow results-2023/case7 results-2024/case7 --out follow
    """
    from medseg.longitudinal.follow import follow as follow_files
    from medseg.longitudinal.follow_text import plain_follow_up

    found = follow_files(
        before,
        after,
        out,
        scans=scans or (),
        classes=classes or (),
        short_axis=short_axis or (),
        registered=registered,
    )
    if json:
        from medseg.evaluation.summary import as_json

        print_json(as_json(found.as_dict()))
    else:
        typer.echo(plain_follow_up(found))
    return 0
