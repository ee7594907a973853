"""`medseg evaluate`: measure predictions against references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, SetOption, print_json

__all__ = ["evaluate"]


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="A folder of label files, the output of `medseg predict`, or one file.")
    ],
    references: Annotated[Path, typer.Argument(help="A folder of label files, a dataset with labelsTr, or one file.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    table: Annotated[
        Path | None,
        typer.Option("--table", help="CSV with case_id, and prediction, reference, patient, and columns of groups."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="COLUMN", help="Column of the table to report by; repeatable.")
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="VALUE=NAME", help="Name of a class; measures those named only; repeatable."),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("--region", metavar="NAME=1,2", help="Union of classes, measured as one more; repeatable."),
    ] = None,
    tolerances: Annotated[
        list[float] | None, typer.Option("--tolerance", metavar="MM", help="Tolerance of NSD; repeatable.")
    ] = None,
    objects: Annotated[
        str | None, typer.Option("--objects", help="components, instances (values are ids of objects), or none.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of scans to draw under the worst cases.")
    ] = None,
    probabilities: Annotated[
        Path | None, typer.Option("--probabilities", help="Folder of probabilities, for calibration and FROC.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of options.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Cases measured at the same time.")] = None,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write per_case.parquet too.")] = False,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="ID", help="MLflow run to add the figures to; default: MLFLOW_RUN_ID, or none."),
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Measure predictions against references, by class, object, region and group.

    Leaves per_case.csv, summary.json, summary.tex and report.html in OUT. Grids that differ are an error, never
    resampled. Exit code: 0 all measured, 3 some cases could not be, 4 none could.

    Example: medseg evaluate results/ dataset/labelsTr --out evaluation --tolerance 1 --tolerance 2
    """
    from medseg.engine.evaluate import evaluate as measure
    from medseg.evaluation.options import options_from
    from medseg.evaluation.summary import as_json
    from medseg.evaluation.tables import plain_table

    options = options_from(
        config,
        classes=classes,
        regions=regions,
        tolerances=tolerances,
        objects=objects,
        jobs=jobs,
        overrides=settings or [],
    )
    result = measure(
        predictions,
        references,
        out,
        options,
        table=table,
        by=by or [],
        images=images,
        probabilities=probabilities,
        parquet=parquet,
        run=run,
    )
    if json:
        print_json(as_json(result.summary))
    else:
        typer.echo(plain_table(result.summary) if result.rows else "no case could be measured")
    return result.exit_code
