"""`medseg deidentify`: DICOM objects without their patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, WHAT, InputsArgument, JsonOption, OutOption, option
from medseg.cli.verb import log, print_json
from medseg.counted import counted
from medseg.harmless import one_line


def deidentify(
    inputs: InputsArgument,
    out: OutOption,
    key: Annotated[
        Path | None,
        option(
            INPUT,
            "--key",
            help="File with the secret that maps identifiers; made if missing. Without it, no mapping is kept.",
            metavar="FILE",
            dir_okay=False,
        ),
    ] = None,
    allow_burned_in: Annotated[
        bool,
        option(
            WHAT,
            "--allow-burned-in",
            help="Accept 2D images that may have a name burned in; look at each of them first.",
        ),
    ] = False,
    keep_uids: Annotated[bool, option(WHAT, "--keep-uids", help="Keep all UIDs (113110).")] = False,
    shift_dates: Annotated[
        bool,
        option(WHAT, "--shift-dates", help="Keep times and move dates back by one number of days a patient (113107)."),
    ] = False,
    keep_descriptors: Annotated[
        bool,
        option(
            WHAT, "--keep-descriptors", help="Keep descriptions, names of ROIs too, without what identifies (113105)."
        ),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Write copies of CT, MR, PET, SEG, RTSTRUCT and SR objects without the patient.

    Follows the basic profile of DICOM PS3.15, with options for what is kept. References between the objects are kept;
    UIDs are replaced by a keyed hash. Text burned into the pixels is not searched for, so objects that may have some
    are skipped. Exit code: 0 all done, 3 some objects skipped, 4 none written.

    Example: medseg deidentify study/ --out shareable/ --key secret.txt
    """
    from medseg.errors import Interrupted
    from medseg.io.files.writable import check_writable
    from medseg.privacy.cleaning import Kept
    from medseg.privacy.deidentify import deidentify_folder, read_key
    from medseg.privacy.record import REPORT_FILE

    if key is not None and not key.exists():
        check_writable(key, where=f"--key {key}", is_folder=False)
    try:
        result = deidentify_folder(
            inputs,
            out,
            key=read_key(key, out),
            allow_burned_in=allow_burned_in,
            kept=Kept(keep_uids, shift_dates, keep_descriptors),
        )
    except Interrupted as stop:
        if key is None and (out / REPORT_FILE).exists():
            fix = f"delete {out} and begin again, as a run can be resumed only with --key FILE"
            raise Interrupted(stop.signal_name, fix=fix) from stop
        raise
    rejected = [left for left in result.skipped if left.corrupt]
    if json:
        print_json(
            {
                "written": [str(path) for path in result.written],
                "skipped": [
                    {"path": str(left.path), "reason": left.reason, "fix": left.fix} for left in result.skipped
                ],
                "identifiers_found_outside_the_table": result.leaks,
            }
        )
    else:
        typer.echo(f"{counted(len(result.written), 'object')} written to {out}")
        for left in rejected:
            typer.echo(
                f"skipped: {one_line(left.path)}: {one_line(left.reason)}. {one_line(left.fix or '')}".rstrip(),
                err=True,
            )
    if not result.written and not rejected:
        log.error("no DICOM object was found; `medseg inspect` says what is in a folder")
    return 4 if not result.written else 3 if rejected else 0
