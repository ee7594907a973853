"""`medseg evaluate`: measure predictions against references."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from medseg.cli.options import (
    INPUT,
    RUN,
    WHAT,
    WRITE,
    ConfigOption,
    JsonOption,
    KeepNamesOption,
    OutOption,
    SetOption,
    TolerancesOption,
    argument,
    option,
)
from medseg.cli.verb import print_json
from medseg.config.bounds import AtLeast1
from medseg.errors import UsageError


def evaluate(
    predictions: Annotated[
        Path,
        argument(
            INPUT, "PREDICTIONS", help="Folder of label files, output of `medseg predict`, or one file.", exists=True
        ),
    ],
    references: Annotated[
        Path,
        argument(
            INPUT,
            "REFERENCES",
            help="Folder of label files, dataset with labelsTr or dataset.yaml, or one file.",
            exists=True,
        ),
    ],
    out: OutOption,
    table: Annotated[
        Path | None,
        option(
            INPUT,
            "--table",
            help="CSV file with case_id, and prediction, reference, patient, and columns of groups.",
            metavar="FILE",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    group_by: Annotated[
        list[str] | None,
        option(
            WHAT, "--group-by", help="Column of the table to group the report by; may be repeated.", metavar="COLUMN"
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        option(
            WHAT,
            "--class",
            help="Class to measure, by its value in the files, and its name; may be repeated. By default, all classes.",
            metavar="VALUE=NAME",
        ),
    ] = None,
    regions: Annotated[
        list[str] | None,
        option(WHAT, "--region", help="Union of classes, measured like a class; may be repeated.", metavar="NAME=1,2"),
    ] = None,
    tolerances: TolerancesOption = None,
    objects: Annotated[
        Literal["components", "instances", "none"] | None,
        option(
            WHAT, "--objects", help="Objects to match: connected components, the ids of objects in the files, or none."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        option(
            INPUT,
            "--images",
            help="Folder of scans to draw under the worst cases.",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    probabilities: Annotated[
        Path | None,
        option(
            INPUT,
            "--probabilities",
            help="Folder of probabilities, for calibration and FROC.",
            metavar="DIR",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    config: ConfigOption = None,
    jobs: Annotated[
        int | None,
        option(
            RUN, "--jobs", help="Number of cases measured at the same time, at least 1.", metavar="N", kind=AtLeast1
        ),
    ] = None,
    keep_names: KeepNamesOption = False,
    parquet: Annotated[bool, option(WRITE, "--parquet", help="Write per_case.parquet too.")] = False,
    mlflow_run: Annotated[
        str | None,
        option(
            WRITE,
            "--mlflow-run",
            help="MLflow run to add the measures to. By default, MLFLOW_RUN_ID, or none.",
            metavar="ID",
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
        classes={
            _value(value, f"--class {value}={name}"): name for value, name in _pairs(classes, "--class", "1=liver")
        }
        or None,
        regions={
            name: [_value(value, f"--region {name}={values}") for value in values.split(",")]
            for name, values in _pairs(regions, "--region", "both=1,2")
        }
        or None,
        tolerances=tolerances,
        objects=objects,
        images=images,
        probabilities=probabilities,
        config=config,
        settings=settings or [],
        jobs=jobs,
        keep_names=keep_names,
        parquet=parquet,
        mlflow_run=mlflow_run,
    )
    if json:
        print_json(as_json(result.summary))
    else:
        typer.echo(plain_table(result.summary) if result.rows else "No case could be measured.")
    return result.exit_code


def _pairs(texts: list[str] | None, option: str, example: str) -> Iterator[tuple[str, str]]:
    """Both sides of each ``A=B``."""
    for text in texts or ():
        left, _, right = (part.strip() for part in text.partition("="))
        if not left or not right:
            raise UsageError("must be of the form A=B", where=f"{option} {text}", fix=f"Write {option} {example}.")
        yield left, right


def _value(text: str, where: str) -> int:
    if not text.strip().isdecimal() or not 1 <= int(text) <= 65535:
        raise UsageError(
            f"'{text.strip()}' is not a class value",
            where=where,
            fix="Give whole numbers from 1 to 65535, as the files hold them.",
        )
    return int(text)
