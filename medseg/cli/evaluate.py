"""`medseg evaluate`: measure predictions against references."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from medseg.cli.options import INPUT, RUN, WHAT, WRITE, ConfigOption, JsonOption, OutOption, SetOption
from medseg.cli.verb import print_json
from medseg.errors import UsageError

__all__ = ["evaluate"]


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            exists=True,
            help="Folder of label files, output of `medseg predict`, or one file.",
            rich_help_panel=INPUT,
        ),
    ],
    references: Annotated[
        Path,
        typer.Argument(
            metavar="REFERENCES",
            exists=True,
            help="Folder of label files, dataset with labelsTr, or one file.",
            rich_help_panel=INPUT,
        ),
    ],
    out: OutOption,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            exists=True,
            help="CSV file with case_id, and prediction, reference, patient, and columns of groups.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    group_by: Annotated[
        list[str] | None,
        typer.Option(
            "--group-by",
            metavar="COLUMN",
            help="Column of the table to group the report by; may be repeated.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="VALUE=NAME",
            help="Class to measure, and its name; may be repeated. By default, all classes.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            metavar="NAME=1,2",
            help="Union of classes, measured like a class; may be repeated.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    tolerances: Annotated[
        list[float] | None,
        typer.Option(
            "--tolerance", metavar="MM", min=0, help="Tolerance of NSD; may be repeated.", rich_help_panel=WHAT
        ),
    ] = None,
    objects: Annotated[
        Literal["components", "instances", "none"] | None,
        typer.Option(
            "--objects",
            help="Objects to match: connected components, ids of objects in the files, or none.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images", exists=True, help="Folder of scans to draw under the worst cases.", rich_help_panel=INPUT
        ),
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(
            "--probabilities",
            exists=True,
            help="Folder of probabilities, for calibration and FROC.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    config: ConfigOption = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Number of cases measured at the same time.", rich_help_panel=RUN),
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write per_case.parquet too.", rich_help_panel=WRITE)
    ] = False,
    mlflow_run: Annotated[
        str | None,
        typer.Option(
            "--mlflow-run",
            metavar="ID",
            help="MLflow run to add the measures to. By default, MLFLOW_RUN_ID, or none.",
            rich_help_panel=WRITE,
        ),
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
    from medseg.evaluation.summary import as_json
    from medseg.evaluation.tables import plain_table

    result = measure(
        predictions,
        references,
        out,
        table=table,
        group_by=group_by or [],
        classes={_value(value, "--class"): name for value, name in _pairs(classes, "--class")} or None,
        regions={
            name: [_value(value, "--region") for value in values.split(",")]
            for name, values in _pairs(regions, "--region")
        }
        or None,
        tolerances=tolerances,
        objects=objects,
        images=images,
        probabilities=probabilities,
        config=config,
        settings=settings or [],
        jobs=jobs,
        parquet=parquet,
        mlflow_run=mlflow_run,
    )
    if json:
        print_json(as_json(result.summary))
    else:
        typer.echo(plain_table(result.summary) if result.rows else "No case could be measured.")
    return result.exit_code


def _pairs(texts: list[str] | None, option: str) -> Iterator[tuple[str, str]]:
    """Both sides of each ``A=B``."""
    for text in texts or ():
        left, _, right = (part.strip() for part in text.partition("="))
        if not left or not right:
            raise UsageError(f"{option} {text}: must be of the form A=B", fix="Write --class 1=liver --region both=1,2")
        yield left, right


def _value(text: str, option: str) -> int:
    if not text.strip().isdecimal():
        raise UsageError(
            f"{option}: '{text.strip()}' is not a class value", fix="Class values are whole numbers from 1."
        )
    return int(text)
