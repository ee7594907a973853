"""`medseg review verify`: whether a review is as it was left."""

from __future__ import annotations

from typing import Annotated

import typer

from medseg.cli.options import WHAT, JsonOption, option
from medseg.cli.review_options import ReviewedArgument
from medseg.cli.verb import print_json
from medseg.harmless import one_line

CHANGED = 3


def verify(
    folder: ReviewedArgument,
    expect: Annotated[
        str | None,
        option(
            WHAT, "--expect", help="Hash that was printed before: everything up to it must be there.", metavar="HASH"
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check the audit trail, event by event, and every saved file, byte by byte.

    Prints what is not as it was left, then the newest hash; write that down elsewhere, and it vouches for everything
    before it. Exit code: 0 all as it was left, 3 something was changed.

    Example: medseg review verify results
    """
    import logging

    from medseg.review.opening import open_store

    with open_store(folder, check=False) as store:
        findings = [str(finding) for finding in store.verify(expect)]
        left, (count, head) = store.leftovers(), store.log.head
    for name in left:
        logging.getLogger("medseg.review").info(
            "%s: of a save that was stopped before it was acknowledged, or is under way; nothing is lost",
            one_line(name),
        )
    if json:
        print_json({"findings": findings, "leftovers": left, "events": count, "head": head})
    else:
        for finding in findings:
            typer.echo(one_line(finding))
        typer.echo(f"{count} events, the newest has the hash {head}")
    return CHANGED if findings else 0
