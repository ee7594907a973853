"""`medseg convert`: whatever can be read, written in one format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import AllowUnevenOption, JsonOption, print_json

__all__ = ["convert"]


def convert(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Scans, labels, and folders of them, mixed.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    format: Annotated[str, typer.Option("--format", help="nifti, nrrd or mha.")] = "nifti",
    content: Annotated[
        str, typer.Option("--content", help="What files that could be either hold: auto (as they say), scan, labels.")
    ] = "auto",
    allow_uneven: AllowUnevenOption = False,
    json: JsonOption = False,
) -> int:
    """Write every scan and label map found as OUT/<case>/image.* or labels.*, with what was decided in conversion.json.

    DICOM SEG and RTSTRUCT become labels; an RTSTRUCT needs its series among the inputs. Exit code: 0 all done, 3 part
    failed, 4 nothing done.

    Example: medseg convert study/ --out nifti --format nifti
    """
    from medseg.errors import UsageError
    from medseg.io.convert import convert as convert_files

    if content not in ("auto", "scan", "labels"):
        raise UsageError(f"--content cannot be '{content}'", fix="Choose among auto, scan, labels.")
    result = convert_files(inputs, out, format, content=content, allow_uneven=allow_uneven)  # type: ignore[arg-type]
    if json:
        print_json(
            {
                "converted": [
                    {"case_id": one.case_id, "path": one.path, "error": one.error, "notes": list(one.notes)}
                    for one in result.converted
                ],
                "broken": list(result.broken),
            }
        )
    else:
        for one in result.converted:
            typer.echo(f"{one.case_id}\t{one.path or one.error}")
        for reason in result.broken:
            typer.echo(f"-\t{reason}")
    return result.exit_code
