"""`medseg report`: one report over what shards left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from medseg.cli.options import INPUT, WRITE, JsonOption, argument, option
from medseg.cli.verb import print_result
from medseg.config.bounds import AtLeast0


def report(
    results: Annotated[
        Path, argument(INPUT, "DIR", help="Folder of results of `medseg predict --shard`.", exists=True)
    ],
    previews: Annotated[
        int,
        option(
            WRITE,
            "--previews",
            help="Previews embedded in the page at most, 0 or more; the others are linked.",
            metavar="COUNT",
            kind=AtLeast0,
        ),
    ] = 200,
    json: JsonOption = False,
) -> int:
    """Make one report over what the shards of a run left.

    Leaves run.json, cases.csv, sources.csv and report.html in DIR; of more than 2,000 cases in several pages. Exit
    code: 0 all done, 3 some failed or were withheld, or shards have not finished, 4 nothing done.

    Example: medseg report results
    """
    from medseg.engine.report import report as report_shards

    result = report_shards(results, previews=previews)
    print_result(result, json=json)
    return result.exit_code
