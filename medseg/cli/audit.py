"""`medseg audit`: what is wrong with a dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from medseg.cli.options import (
    RUN,
    WHAT,
    WRITE,
    ConfigOption,
    DatasetArgument,
    JsonOption,
    OptionalOutOption,
    SetOption,
    option,
)
from medseg.cli.verb import print_json
from medseg.config.bounds import AtLeast0, AtLeast1
from medseg.counted import counted
from medseg.harmless import one_line


def audit(
    dataset: DatasetArgument,
    out: OptionalOutOption = None,
    config: ConfigOption = None,
    folds: Annotated[
        int | None,
        option(
            WHAT,
            "--folds",
            help="Number of folds of the split that is checked for leakage, at least 1. Without it, that of training.",
            metavar="N",
            kind=AtLeast1,
        ),
    ] = None,
    fold: Annotated[
        int, option(WHAT, "--fold", help="Fold of that split that is held out, from 0.", metavar="N", kind=AtLeast0)
    ] = 0,
    jobs: Annotated[
        int | None,
        option(
            RUN,
            "--jobs",
            help="Number of cases read at the same time, at least 1. Without it, as many as CPUs and memory allow.",
            metavar="N",
            kind=AtLeast1,
        ),
    ] = None,
    describe: Annotated[
        bool,
        option(
            WRITE,
            "--describe",
            help="Also write files, channels and classes as they were read, as a table to edit: dataset.yaml in --out, "
            "or in the dataset's folder, where it is read from then on.",
        ),
    ] = False,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Read every case of a dataset and say what is wrong with it.

    Given again with the same --out, it reads only cases that are new or have changed, so that one that was stopped
    resumes. Exit code 3 when a finding keeps a case out of training, 0 otherwise.

    Example: medseg audit datasets/example --out audit
    """
    from medseg.data.audit_json import as_json
    from medseg.data.describe import description_file
    from medseg.data.findings import KINDS
    from medseg.review.audit import audit as audit_dataset

    found = audit_dataset(
        dataset, out, config=config, settings=settings or [], folds=folds, fold=fold, jobs=jobs, describe=describe
    )
    if json:
        print_json(as_json(found))
    else:
        if describe:
            typer.echo(f"Described in {description_file(found.data, out)}.")
        for line in found.summary.lines():
            typer.echo(line)
        for finding in found.findings:
            mark = "blocks" if finding.blocks else "check"
            typer.echo(f"{mark:6}  {finding.case_id or '-'}  {KINDS[finding.kind].title}: {one_line(finding.message)}")
        typer.echo(f"{len(found.clean)} of {counted(len(found.data.cases), 'case')} can be trained on.")
    return 3 if found.blocked else 0
