"""`medseg compare`: paired statistics of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json

__all__ = ["compare"]


def compare(
    evaluations: Annotated[
        list[Path],
        typer.Argument(metavar="EVAL", help="Output folders of `medseg evaluate`, the baseline first."),
    ],
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Metric to compare; repeatable. Default: dice, nsd, hd95.")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Class to compare; repeatable. Default: all.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="CSV with case_id and patient; default: as when the evaluations were made."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for compare.csv, compare.json, compare.tex.")
    ] = None,
    resamples: Annotated[int, typer.Option("--resamples", min=100, help="Of the bootstrap.")] = 2000,
    json: JsonOption = False,
) -> int:
    """Compare evaluations of the same cases: paired differences, Wilcoxon tests with Holm's correction, rankings.

    Example: medseg compare evaluation-old evaluation-new --metric dice --metric hd95
    """
    from medseg.evaluation.compare import compare as compare_evaluations
    from medseg.evaluation.compare_tables import comparison_text, write_comparison
    from medseg.evaluation.files.case_table import read_table
    from medseg.evaluation.summary import as_json

    patients = None if table is None else {row.case_id: row.patient for row in read_table(table).rows.values()}
    result = compare_evaluations(
        evaluations, metrics=metrics or [], classes=classes or [], patients=patients, resamples=resamples
    )
    if out is not None:
        write_comparison(result, out)
    if json:
        print_json(as_json(result.as_dict()))
    else:
        typer.echo(comparison_text(result))
    return 0
