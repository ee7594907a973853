"""`medseg push`: DICOM objects to an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json

__all__ = ["push"]

ADDRESS = "dicom://HOST:PORT/AETITLE, dicoms:// for TLS, or the https:// root of a DICOMweb service."


def push(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="DICOM files, and folders of them.")],
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help=ADDRESS)],
    calling: Annotated[str, typer.Option("--calling", help="Our application entity title.")] = "MEDSEG",
    user: Annotated[
        str | None, typer.Option("--user", help="DICOMweb user; the password is in MEDSEG_PACS_PASSWORD.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option("--ca", help="Certificates to trust instead of the system's (PEM).")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--cert", help="Our certificate, for dicoms:// (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option("--cert-key", help="The key of our certificate (PEM).")] = None,
    retries: Annotated[int, typer.Option("--retries", min=0, help="Further tries when the connection breaks.")] = 3,
    json: JsonOption = False,
) -> int:
    """Send DICOM files to an archive by C-STORE or STOW-RS.

    Files that are not DICOM are passed over. Sending twice is harmless: what is there already counts as sent. Exit
    code: 0 all sent, 3 some not, 4 none.

    Example: medseg push results/case/labels.seg.dcm --to dicom://pacs.example:104/ARCHIVE
    """
    from medseg.service.archive import Archive
    from medseg.service.push import push as push_all

    archive = Archive.parse(
        to, calling=calling, user=user, authority=authority, certificate=certificate, private_key=private_key
    )
    results = push_all(paths, archive, retries=retries)
    failed = [result for result in results if result.reason is not None]
    if json:
        print_json([{"path": str(r.path), "instance": r.instance, "error": r.reason} for r in results])
    else:
        typer.echo(f"{len(results) - len(failed)} of {len(results)} objects sent to {archive.name}")
        for result in failed:
            typer.echo(f"{result.path}: {result.reason}", err=True)
    return 0 if not failed else 4 if len(failed) == len(results) else 3
