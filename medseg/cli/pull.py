"""`medseg pull`: series from an archive."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from medseg.cli.archive_options import (
    ADDRESS,
    AetOption,
    AuthorityOption,
    CertificateOption,
    PrivateKeyOption,
    RetriesOption,
    UserOption,
)
from medseg.cli.options import NETWORK, WHAT, DryRunOption, JsonOption, OutOption, option
from medseg.cli.verb import print_json
from medseg.harmless import one_line

log = logging.getLogger("medseg.pull")
NONE_FIX = "Check each value; * stands for any text, and most archives search by few keywords."


def pull(
    source: Annotated[str, option(NETWORK, "--from", help=ADDRESS, metavar="ADDRESS")],
    out: OutOption,
    query: Annotated[
        list[str],
        option(
            WHAT,
            "--query",
            help="What to fetch, for instance AccessionNumber=123; may be repeated.",
            metavar="KEYWORD=VALUE",
        ),
    ],
    aet: AetOption = "MEDSEG",
    user: UserOption = None,
    authority: AuthorityOption = None,
    certificate: CertificateOption = None,
    private_key: PrivateKeyOption = None,
    move_port: Annotated[
        str | None,
        option(NETWORK, "--move-port", help="Fetch by C-MOVE; the archive sends to this port.", metavar="[HOST:]PORT"),
    ] = None,
    retries: RetriesOption = 3,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> int:
    """Fetch series from an archive by C-GET, C-MOVE or WADO-RS.

    Leaves OUT/<series>/<instance>.dcm, named by their UIDs, ready for medseg predict; a series appears when all of it
    has arrived. For C-MOVE, the archive must know our title at the address of --move-port. Exit code: 0 all fetched,
    3 some series not, 4 none found or fetched.

    Example: medseg pull --from https://pacs.example/dicom-web --query AccessionNumber=123 --out in
    """
    from medseg.errors import MedsegError, UsageError
    from medseg.service.archive import Archive
    from medseg.service.pull import pull as pull_series
    from medseg.service.search import search

    if unclear := [text for text in query if "=" not in text]:
        raise UsageError("must be KEYWORD=VALUE", where=f"--query {unclear[0]}", fix="Write for instance Modality=CT.")
    archive = Archive.parse(
        source,
        option="--from",
        aet=aet,
        user=user,
        authority=authority,
        certificate=certificate,
        private_key=private_key,
        move_port=move_port,
    )
    found = search(archive, dict(text.split("=", 1) for text in query), retries=retries)
    log.debug("%d series match", len(found))
    if not found:
        typer.echo(f"Nothing at {one_line(archive.name)} matches the query. {NONE_FIX}", err=True)
    rows = []
    for number, series in enumerate(found, 1):
        row = {"study": series.study, "series": series.uid, "modality": series.modality, "files": 0, "error": None}
        if not dry_run:
            try:
                row["files"] = len(pull_series(archive, series, out, retries=retries))
                log.debug("series %d of %d: %d objects fetched", number, len(found), row["files"])
            except MedsegError as error:
                row["error"] = str(error)
                log.debug("series %d of %d: not fetched (%s)", number, len(found), error.code)
        rows.append(row)
    if json:
        print_json(rows)
    else:
        for row in rows:
            what = row["error"] or ("" if dry_run else row["files"])
            typer.echo(one_line(f"{row['modality']} {row['series']}: {what}"))
    failed = sum(row["error"] is not None for row in rows)
    return 4 if failed == len(rows) else 3 if failed else 0
