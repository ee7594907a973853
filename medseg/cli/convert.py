"""`medseg convert`: whatever can be read, written in one format."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from medseg.cli.options import (
    INPUT,
    WRITE,
    AllowIncompleteOption,
    AllowUnevenOption,
    InputsArgument,
    JsonOption,
    KeepNamesOption,
    MaxMemoryOption,
    MaxSecondsOption,
    OutOption,
    option,
)
from medseg.cli.verb import NOTHING_FOUND, log, print_json
from medseg.harmless import one_line


def convert(
    inputs: InputsArgument,
    out: OutOption,
    format: Annotated[
        Literal["nifti", "nrrd", "mha"], option(WRITE, "--format", "-f", help="Format to write.")
    ] = "nifti",
    content: Annotated[
        Literal["auto", "scan", "labels"],
        option(
            INPUT, "--content", help="What a file holds that could be either; auto takes what the file says of itself."
        ),
    ] = "auto",
    allow_uneven: AllowUnevenOption = False,
    allow_incomplete: AllowIncompleteOption = False,
    keep_names: KeepNamesOption = False,
    max_memory: MaxMemoryOption = None,
    max_seconds: MaxSecondsOption = None,
    json: JsonOption = False,
) -> int:
    """Write every scan and label map found as OUT/<case>/image.* or labels.*, with what was decided in conversion.json.

    DICOM SEG and RTSTRUCT become labels; an RTSTRUCT needs its series among the inputs. Exit code: 0 all done, 3 part
    failed, 4 nothing done.

    Example: medseg convert study/ --out nifti --format nifti
    """
    from medseg.io.convert import convert as convert_files

    result = convert_files(
        inputs,
        out,
        format=format,
        content=content,
        allow_uneven=allow_uneven,
        allow_incomplete=allow_incomplete,
        keep_names=keep_names,
        max_memory=max_memory,
        max_seconds=max_seconds,
    )
    if json:
        print_json(
            {
                "converted": [
                    {"case_id": one.case_id, "path": one.path, "error": one.error, "notes": list(one.notes)}
                    for one in result.converted
                ],
                "corrupt": list(result.corrupt),
            }
        )
    else:
        for one in result.converted:
            typer.echo(f"{one.case_id}\t{one_line(one.path or one.error)}")
        for reason in result.corrupt:
            typer.echo(f"-\t{one_line(reason)}")
    if not result.converted and not result.corrupt:
        log.error(NOTHING_FOUND)
    return result.exit_code
