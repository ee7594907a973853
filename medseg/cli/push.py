"""`medseg push`: DICOM objects to an archive."""

from __future__ import annotations

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
from medseg.cli.options import NETWORK, InputsArgument, JsonOption, option
from medseg.cli.verb import print_json
from medseg.counted import counted
from medseg.harmless import one_line


def push(
    inputs: InputsArgument,
    to: Annotated[str, option(NETWORK, "--to", help=ADDRESS, metavar="ADDRESS")],
    aet: AetOption = "MEDSEG",
    user: UserOption = None,
    authority: AuthorityOption = None,
    certificate: CertificateOption = None,
    private_key: PrivateKeyOption = None,
    retries: RetriesOption = 3,
    json: JsonOption = False,
) -> int:
    """Send DICOM files to an archive by C-STORE or STOW-RS.

    An object counts as sent when the archive's answer lists it. Files of other kinds are skipped; every file that is or
    may have been DICOM and is not sent is named. Sending twice is harmless: what is there already counts as sent. Exit
    code: 0 all sent, 3 some not, 4 none.

    Example: medseg push results/case/labels.seg.dcm --to dicom://pacs.example:104/ARCHIVE
    """
    from medseg.service.archive import Archive
    from medseg.service.push import push as push_all

    archive = Archive.parse(
        to, option="--to", aet=aet, user=user, authority=authority, certificate=certificate, private_key=private_key
    )
    results = push_all(inputs, archive, retries=retries)
    failed = [result for result in results if result.reason is not None]
    if json:
        print_json([{"path": str(r.path), "instance": r.instance, "error": r.reason, "note": r.note} for r in results])
    else:
        typer.echo(f"{len(results) - len(failed)} of {counted(len(results), 'object')} sent to {archive.name}")
        for result in failed:
            typer.echo(f"{one_line(result.path)}: {one_line(result.reason)}", err=True)
        for result in results:
            if result.note is not None:
                typer.echo(f"{one_line(result.path)}: note: {one_line(result.note)}", err=True)
    return 0 if not failed else 4 if len(failed) == len(results) else 3
