"""`medseg compare`: paired statistics of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, RUN, WHAT, JsonOption, OptionalOutOption, argument, option
from medseg.cli.verb import print_json
from medseg.config.bounds import METRICS, Metrics, Resamples


def compare(
    evaluations: Annotated[
        list[Path],
        argument(INPUT, "EVAL", help="Output folders of `medseg evaluate`, the baseline first.", exists=True),
    ],
    metrics: Annotated[
        list[str] | None,
        option(
            WHAT,
            "--metric",
            help=f"Metric to compare, such as nsd@2mm: {', '.join(METRICS)}. May be repeated. By default, dice, "
            "one nsd and hd95.",
            metavar="METRIC",
            kind=Metrics,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        option(WHAT, "--class", help="Class to compare; may be repeated. By default, all.", metavar="NAME"),
    ] = None,
    table: Annotated[
        Path | None,
        option(
            INPUT,
            "--table",
            help="CSV file with case_id and patient. By default, that of the evaluations.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    out: OptionalOutOption = None,
    n_bootstrap: Annotated[
        int,
        option(RUN, "--n-bootstrap", help="Number of bootstrap resamples, 100 to 100000.", metavar="N", kind=Resamples),
    ] = 2000,
    json: JsonOption = False,
) -> int:
    """Compare evaluations of the same cases: paired differences, Wilcoxon tests with Holm's correction, rankings.

    Example: medseg compare evaluation-old evaluation-new --metric dice --metric hd95
    """
    from medseg.evaluation.compare import compare as compare_evaluations
    from medseg.evaluation.compare_tables import comparison_text
    from medseg.evaluation.summary import as_json

    result = compare_evaluations(
        evaluations, metrics=metrics or [], classes=classes or [], table=table, out=out, n_bootstrap=n_bootstrap
    )
    if json:
        print_json(as_json(result.as_dict()))
    else:
        typer.echo(comparison_text(result))
    return 0
