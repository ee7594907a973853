"""`medseg review export`: what was corrected, as a dataset to train on or as files for others."""

from __future__ import annotations

from typing import Annotated

import typer

from medseg.cli.options import WHAT, WRITE, JsonOption, OptionalModelOption, OutOption, option
from medseg.cli.review_options import ReviewedArgument, ScansOption, reviewer_option
from medseg.cli.verb import print_json
from medseg.config.bounds import LABEL_FORMATS, LabelFormats
from medseg.harmless import one_line


def export(
    folder: ReviewedArgument,
    out: OutOption,
    formats: Annotated[
        str | None,
        option(
            WRITE,
            "--format",
            "-f",
            help=f"Write files for others instead of a dataset: {', '.join(LABEL_FORMATS)}.",
            metavar="FORMAT,...",
            kind=LabelFormats,
        ),
    ] = None,
    unchanged: Annotated[
        bool,
        option(WHAT, "--unchanged", help="Take cases that were accepted as the model made them into the dataset too."),
    ] = False,
    reviewer: Annotated[
        str | None,
        reviewer_option("Whose verdicts count, after blinded readings."),
    ] = None,
    organization: Annotated[
        str,
        option(
            WRITE,
            "--organization",
            help="Where the person works, for a verified report. By default, the scan's own institution.",
            metavar="NAME",
        ),
    ] = "",
    model: OptionalModelOption = None,
    scans: ScansOption = None,
    json: JsonOption = False,
) -> int:
    """Write accepted corrections as a dataset that medseg audit and medseg train --from take as it is.

    Cases of one patient stay together, and what the model's card lists as held out stays held out. With --format, write
    files for others: DICOM says which classes a person changed or drew and who vouches for them. Prints the files or
    the dataset's folder. Exit code: 0 done, 3 some cases could not be written, 4 none was there to write.

    Example: medseg review export results --out corrections
    """
    import logging

    log = logging.getLogger("medseg.review")
    if formats is None:
        from medseg.review.dataset_export import export_dataset

        data = export_dataset(folder, out, unchanged=unchanged, reviewer=reviewer, model=model, scans=scans or ())
        counts = len(data.rows), len(data.skipped), len(data.failed)
        log.info("Cases in the dataset: %d; skipped: %d; failed: %d.", *counts)
        if not data.rows and not data.failed:
            log.warning("No case was accepted with corrections: correct and accept some first, or add --unchanged.")
        if json:
            print_json(
                {
                    "dataset": data.folder,
                    "cases": [vars(row) for row in data.rows],
                    "skipped": data.skipped,
                    "failed": data.failed,
                }
            )
        elif data.rows:
            typer.echo(data.folder)
        return data.exit_code
    from medseg.review.results_export import export_results

    done = export_results(
        folder, out, format=formats, reviewer=reviewer, organization=organization, model=model, scans=scans or ()
    )
    counts = len(done.files), len(done.skipped), len(done.failed)
    log.info("Cases written: %d; skipped: %d; failed: %d.", *counts)
    if not done.files and not done.failed:
        log.warning("No case has labels that somebody accepted: accept some in medseg review first.")
    if json:
        files = {case: [str(path) for path in paths] for case, paths in done.files.items()}
        print_json({"files": files, "skipped": done.skipped, "failed": done.failed})
    else:
        for paths in done.files.values():
            for path in paths:
                typer.echo(one_line(path))
    return done.exit_code
