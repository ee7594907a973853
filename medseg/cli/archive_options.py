"""The options of the verbs that talk to an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import NETWORK

__all__ = [
    "ADDRESS",
    "AetOption",
    "AuthorityOption",
    "CertificateOption",
    "PrivateKeyOption",
    "RetriesOption",
    "UserOption",
]

ADDRESS = "Archive: dicom://HOST:PORT/AETITLE, dicoms:// for TLS, or the https:// root of a DICOMweb service."
UserOption = Annotated[
    str | None,
    typer.Option("--user", help="DICOMweb user; the password is in MEDSEG_PACS_PASSWORD.", rich_help_panel=NETWORK),
]
AetOption = Annotated[
    str, typer.Option("--aet", metavar="AETITLE", help="Own application entity title.", rich_help_panel=NETWORK)
]
AuthorityOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        exists=True,
        help="Certificates to trust instead of those of the system (PEM).",
        rich_help_panel=NETWORK,
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--cert", exists=True, help="Own certificate, for dicoms:// (PEM).", rich_help_panel=NETWORK),
]
PrivateKeyOption = Annotated[
    Path | None,
    typer.Option("--cert-key", exists=True, help="Key of the own certificate (PEM).", rich_help_panel=NETWORK),
]
RetriesOption = Annotated[
    int,
    typer.Option(
        "--retries", min=0, help="Number of further attempts when the connection breaks.", rich_help_panel=NETWORK
    ),
]
