"""`medseg review agreement`: readers compared with each other and with the model."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from medseg.cli.options import WHAT, WRITE, JsonOption, OutOption, TolerancesOption, option
from medseg.cli.review_options import ReviewedArgument, reviewer_option
from medseg.cli.verb import print_json
from medseg.config.bounds import Resamples


def agreement(
    folder: ReviewedArgument,
    out: OutOption,
    reviewers: Annotated[
        list[str] | None,
        reviewer_option("Reader to compare; may be repeated. By default, all."),
    ] = None,
    tolerances: TolerancesOption = None,
    consensus: Annotated[
        Literal["none", "majority", "staple"],
        option(
            WRITE,
            "--consensus",
            help="Write one label map for each case into OUT/consensus: what most readers drew, or by STAPLE.",
        ),
    ] = "none",
    n_bootstrap: Annotated[
        int,
        option(
            WHAT, "--n-bootstrap", help="Number of bootstrap resamples, 100 to 100000.", metavar="N", kind=Resamples
        ),
    ] = 2000,
    json: JsonOption = False,
) -> int:
    """Compare readers: outlines, volumes and verdicts, of every two of them and of each with the model.

    Leaves agreement.csv, volumes.csv, summary.json and report.html in OUT, and of two readers adjudication.csv: the
    cases they see differently, for a third person. Figures are those of medseg evaluate. Exit code: 0 all compared, 3
    some cases could not be, 4 nothing was there to compare.

    Example: medseg review agreement results --out agreement --consensus staple
    """
    from medseg.evaluation.readers_report import plain_agreement
    from medseg.evaluation.summary import as_json
    from medseg.review.reader_agreement import agreement as compare

    found = compare(
        folder,
        out,
        reviewers=reviewers or (),
        tolerances=tolerances or (1.0, 2.0),
        consensus=consensus,
        n_bootstrap=n_bootstrap,
    )
    if json:
        print_json(as_json(found.summary))
    else:
        typer.echo(plain_agreement(found))
    return found.exit_code
