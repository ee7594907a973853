"""`medseg audit`: what is wrong with a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json

__all__ = ["audit"]


def audit(
    dataset: Annotated[Path, typer.Argument(help="The dataset, as it is.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for audit.html and audit.json.")] = None,
    config: Annotated[
        str | None, typer.Option(help="A configuration whose `dataset` says what the files do not.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=1, help="Look for what lies on both sides of this split.")] = 5,
    fold: Annotated[int, typer.Option("--fold", min=0, help="Which part of it is held out.")] = 0,
    json: JsonOption = False,
) -> int:
    """Read every case of a dataset and say what is wrong with it.

    Exit code 3 when a finding keeps a case out of training, 0 otherwise.

    Example: medseg audit datasets/example --out audit
    """
    from medseg.data.audit import audit as look
    from medseg.data.audit_json import as_json
    from medseg.data.description import description_in
    from medseg.data.findings import KINDS
    from medseg.data.layouts import read_dataset
    from medseg.data.splits import sides, split_cases
    from medseg.draw.audit_page import write_audit

    data = read_dataset(dataset, description_in(config))
    split = split_cases(data.labeled, folds=folds, fold=fold, seed=0)
    found = look(data, side=sides(split))
    if out is not None:
        write_audit(found, out)
    if json:
        print_json(as_json(found))
    else:
        for finding in found.findings:
            mark = "BLOCKS" if finding.blocks else "look"
            typer.echo(f"{mark:6}  {finding.case_id or '-'}  {KINDS[finding.kind].title}: {finding.message}")
        typer.echo(f"{len(found.clean)} of {len(data.cases)} cases can be trained on")
    return 3 if found.blocked else 0
