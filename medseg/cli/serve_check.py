"""`medseg serve check`: what a node would do with a study."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, JsonOption, argument
from medseg.cli.verb import print_json
from medseg.counted import counted
from medseg.harmless import one_line


def check(
    rules: Annotated[Path, argument(INPUT, "RULES", help="The node's configuration, a YAML file.")],
    study: Annotated[
        Path, argument(INPUT, "STUDY", help="A study: a folder of DICOM files, or one of them.", exists=True)
    ],
    json: JsonOption = False,
) -> int:
    """Say what a node would do with each series of a study, and why; nothing is segmented or sent.

    Everything that is checked at the start of a node is checked too. Exit code: 0 at least one series would be
    segmented, 4 none.

    Example: medseg serve check node.yaml study/
    """
    from medseg.service.node.check import check_study

    found = check_study(rules, study)
    if json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            typer.echo(
                f"{one_line(one.description) or 'series'} ({counted(one.objects, 'object')}): {one_line(one.what)}"
            )
            for fit in one.tried:
                typer.echo(f"  rule {fit.number} {'fits' if fit.fits else 'does not fit'}: {one_line(fit.reason)}")
    return 0 if any(one.case_ids for one in found) else 4
