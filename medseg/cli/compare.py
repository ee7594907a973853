"""`medseg compare`: paired statistics of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, RUN, WHAT, JsonOption, OptionalOutOption
from medseg.cli.verb import print_json

__all__ = ["compare"]


def compare(
    evaluations: Annotated[
        list[Path],
        typer.Argument(
            metavar="EVAL",
            exists=True,
            help="Output folders of `medseg evaluate`, the baseline first.",
            rich_help_panel=INPUT,
        ),
    ],
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="Metric to compare; may be repeated. By default: dice, nsd, hd95.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to compare; may be repeated. By default: all.", rich_help_panel=WHAT),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            exists=True,
            help="CSV file with case_id and patient. By default, that of the evaluations.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    out: OptionalOutOption = None,
    n_bootstrap: Annotated[
        int, typer.Option("--n-bootstrap", min=100, help="Number of bootstrap resamples.", rich_help_panel=RUN)
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
