"""The options of the verbs that talk to an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from medseg.cli.options import NETWORK, option
from medseg.config.bounds import AtLeast0

ADDRESS = "Archive: dicom://HOST:PORT/AETITLE, dicoms:// for TLS, or the https:// root of a DICOMweb service."
UserOption = Annotated[
    str | None,
    option(NETWORK, "--user", help="DICOMweb user; the password is in MEDSEG_PACS_PASSWORD.", metavar="NAME"),
]
AetOption = Annotated[
    str, option(NETWORK, "--aet", help="Own application entity title, at most 16 characters.", metavar="AETITLE")
]
AuthorityOption = Annotated[
    Path | None,
    option(
        NETWORK,
        "--ca",
        help="Certificates to trust instead of those of the system, a PEM file.",
        metavar="FILE",
        exists=True,
    ),
]
CertificateOption = Annotated[
    Path | None,
    option(NETWORK, "--cert", help="Own certificate for dicoms://, a PEM file.", metavar="FILE", exists=True),
]
PrivateKeyOption = Annotated[
    Path | None,
    option(NETWORK, "--cert-key", help="Private key of the own certificate, a PEM file.", metavar="FILE", exists=True),
]
RetriesOption = Annotated[
    int,
    option(
        NETWORK,
        "--retries",
        help="Number of further attempts when the connection breaks, at least 0.",
        metavar="N",
        kind=AtLeast0,
    ),
]
