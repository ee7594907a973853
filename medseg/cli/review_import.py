"""`medseg review import`: corrections drawn in another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, WHAT, JsonOption, argument, option
from medseg.cli.review_options import ReviewedArgument, ScansOption, reviewer_option
from medseg.cli.verb import print_json
from medseg.errors import UsageError
from medseg.harmless import tabbed


def import_labels(
    folder: ReviewedArgument,
    files: Annotated[
        list[Path],
        argument(
            INPUT, "FILES", help="Files and folders: NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT; mixed.", exists=True
        ),
    ],
    reviewer: Annotated[str, reviewer_option("Who drew them.")],
    case: Annotated[
        str | None, option(INPUT, "--case", help="Case that the one file given belongs to.", metavar="ID")
    ] = None,
    classes: Annotated[
        list[str] | None,
        option(
            INPUT,
            "--class",
            help="Class of segments that have another name; may be repeated.",
            metavar="NAME=CLASS",
        ),
    ] = None,
    blind: Annotated[
        bool, option(WHAT, "--blind", help="Take them as a second reading, beside any other person's work.")
    ] = False,
    replace: Annotated[
        bool, option(WHAT, "--replace", help="Let them follow another person's labels, or a verdict.")
    ] = False,
    accept: Annotated[bool, option(WHAT, "--accept", help="Accept each case with its new labels.")] = False,
    scans: ScansOption = None,
    json: JsonOption = False,
) -> int:
    """Save labels that were drawn in any other program as new revisions of the cases they belong to.

    A file is matched by the DICOM series it refers to, else by its grid, else by its name; any other is refused with
    the reason. Nothing is resampled. Prints a tab-separated line a file: file, what became of it, case, matched by
    what, revision, voxels changed against the model, reason. Exit code: 0 all taken, 3 some refused, 4 none taken.

    Example: medseg review import results corrected/ --reviewer "A. Reader"
    """
    from medseg.review.label_import import import_labels as take

    done = take(
        folder,
        files,
        reviewer=reviewer,
        case=case,
        classes=_pairs(classes or []),
        blind=blind,
        replace=replace,
        accept=accept,
        scans=scans or (),
    )
    if json:
        print_json([one.to_json() for one in done.files])
        return done.exit_code
    for one in done.files:
        cells = (one.path, one.state, one.case_id, one.matched_by, one.revision, one.changed_voxels, one.error)
        typer.echo(tabbed(*cells))
    return done.exit_code


def _pairs(texts: list[str]) -> dict[str, str]:
    """Both sides of each ``NAME=CLASS``; a name may hold a ``=``, a class may not."""
    pairs = {}
    for text in texts:
        name, _, target = text.rpartition("=")
        if not name.strip() or not target.strip():
            raise UsageError(f"--class {text}: must be of the form NAME=CLASS", fix="Write --class 'Tumor=lesion'.")
        pairs[name.strip()] = target.strip()
    return pairs
