"""`medseg pull`: series from an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json

__all__ = ["pull"]


def pull(
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="ADDRESS",
            help="dicom://HOST:PORT/AETITLE, dicoms:// for TLS, or the https:// root of a DICOMweb service.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    where: Annotated[
        list[str],
        typer.Option("--where", metavar="KEYWORD=VALUE", help="What to fetch, e.g. AccessionNumber=123; repeatable."),
    ],
    calling: Annotated[str, typer.Option("--calling", help="Our application entity title.")] = "MEDSEG",
    user: Annotated[
        str | None, typer.Option("--user", help="DICOMweb user; the password is in MEDSEG_PACS_PASSWORD.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option("--ca", help="Certificates to trust instead of the system's (PEM).")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--cert", help="Our certificate, for dicoms:// (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option("--cert-key", help="The key of our certificate (PEM).")] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="[HOST:]PORT", help="Fetch by C-MOVE: where we wait for what the archive sends."
        ),
    ] = None,
    retries: Annotated[int, typer.Option("--retries", min=0, help="Further tries when the connection breaks.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what matches; fetch nothing.")] = False,
    json: JsonOption = False,
) -> int:
    """Fetch series from an archive by C-GET, C-MOVE or WADO-RS.

    Leaves OUT/<series>/<instance>.dcm, named by their UIDs, ready for medseg predict; a series appears when all of it
    has come. For C-MOVE the archive must know our title at the address given with --listen. Exit code: 0 all fetched,
    3 some series not, 4 none found or fetched.

    Example: medseg pull --from https://pacs.example/dicom-web --where AccessionNumber=123 --where Modality=CT --out in
    """
    from medseg.errors import MedsegError, UsageError
    from medseg.service.archive import Archive
    from medseg.service.pull import pull as pull_series
    from medseg.service.pull import search

    if unclear := [text for text in where if "=" not in text]:
        raise UsageError(f"'{unclear[0]}' is not KEYWORD=VALUE", fix="For instance --where Modality=CT.")
    archive = Archive.parse(
        source,
        calling=calling,
        user=user,
        authority=authority,
        certificate=certificate,
        private_key=private_key,
        listen=listen,
    )
    found = search(archive, dict(text.split("=", 1) for text in where))
    rows = []
    for series in found:
        row = {"study": series.study, "series": series.uid, "modality": series.modality, "files": 0, "error": None}
        if not dry_run:
            try:
                row["files"] = len(pull_series(archive, series, out, retries=retries))
            except MedsegError as error:
                row["error"] = str(error)
        rows.append(row)
    if json:
        print_json(rows)
    else:
        for row in rows:
            typer.echo(f"{row['modality']} {row['series']}: {row['error'] or ('' if dry_run else row['files'])}")
    failed = sum(row["error"] is not None for row in rows)
    return 4 if failed == len(rows) else 3 if failed else 0
