"""The options and arguments that several verbs share, and the groups that `--help` shows them in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "GROUPS",
    "INPUT",
    "LABEL_FORMATS",
    "LOG",
    "MODEL",
    "NETWORK",
    "RUN",
    "SETTINGS",
    "WHAT",
    "WRITE",
    "AllowUnevenOption",
    "ConfigOption",
    "DatasetArgument",
    "DeviceOption",
    "DryRunOption",
    "InputsArgument",
    "JsonOption",
    "MaxMemoryOption",
    "MaxSecondsOption",
    "ModelArgument",
    "ModelOption",
    "OptionalDeviceOption",
    "OptionalModelOption",
    "OptionalOutOption",
    "OutOption",
    "OverwriteOption",
    "SetOption",
    "ShardOption",
    "comma_separated",
    "split_names",
]

INPUT = "Input and output"
MODEL = "Model"
WHAT = "What to do"
RUN = "How to run"
WRITE = "What to write"
SETTINGS = "Configuration"
NETWORK = "Connection"
LOG = "Log and help"
# In the order of `--help`. An option that names none stands under "What to do".
GROUPS = (INPUT, MODEL, WHAT, WRITE, RUN, NETWORK, SETTINGS, LOG)


def comma_separated(*known: str) -> Callable[[str | None], str | None]:
    """Return the callback of an option whose text lists some of these names, with commas between them."""

    def check(text: str | None) -> str | None:
        names = split_names(text)
        if text is None or (names and not set(names) - set(known)):
            return text
        raise typer.BadParameter(f"must be one or more of {', '.join(known)}, with commas between them")

    return check


def split_names(text: str | None) -> list[str]:
    """Return the names in a text that has commas between them; none for None."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _device(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise typer.BadParameter("must be auto, cpu, cuda or cuda:N")
    return text


def _shard(text: str | None) -> str | None:
    numbers = None if text is None else re.fullmatch(r"(\d+)/(\d+)", text)
    if text is None or (numbers and 1 <= int(numbers[1]) <= int(numbers[2])):
        return text
    raise typer.BadParameter("must be K/N with K from 1 to N, such as 2/4")


# As medseg.io.formats.WRITERS, which is not imported for the sake of a quick --help; a test holds them together.
LABEL_FORMATS = (
    "nifti",
    "nrrd",
    "dicom-seg",
    "dicom-seg-labelmap",
    "dicom-seg-fractional",
    "dicom-seg-objects",
    "rtstruct",
    "sr",
    "sc",
    "stl",
    "obj",
    "gltf",
)
InputsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="INPUT", exists=True, help="Files and folders, mixed.", rich_help_panel=INPUT),
]
DatasetArgument = Annotated[
    Path,
    typer.Argument(metavar="DATASET", exists=True, help="Folder of the dataset, in any layout.", rich_help_panel=INPUT),
]
_OUT = typer.Option("--out", "-o", help="Output folder.", rich_help_panel=INPUT)
OutOption = Annotated[Path, _OUT]
OptionalOutOption = Annotated[Path | None, _OUT]
MODEL_HELP = "Model name, package folder or zip, or models:/NAME@ALIAS."
_MODEL = typer.Option("--model", "-m", help=MODEL_HELP, rich_help_panel=MODEL)
ModelOption = Annotated[str, _MODEL]
OptionalModelOption = Annotated[str | None, _MODEL]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP, rich_help_panel=MODEL)]
_DEVICE = typer.Option(
    "--device",
    metavar="<auto|cpu|cuda|cuda:N>",
    callback=_device,
    help="Where the network runs. With auto, on a GPU where there is one.",
    rich_help_panel=RUN,
)
DeviceOption = Annotated[str, _DEVICE]
OptionalDeviceOption = Annotated[str | None, _DEVICE]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", "-c", metavar="NAME|FILE", help="Shipped configuration or YAML file.", rich_help_panel=SETTINGS
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="A.B=C",
        help="Change one value of the configuration; may be repeated.",
        rich_help_panel=SETTINGS,
    ),
]
AllowUnevenOption = Annotated[
    bool,
    typer.Option(
        "--allow-uneven",
        help="Resample missing or unevenly spaced slices instead of rejecting the scan.",
        rich_help_panel=WHAT,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="K/N", callback=_shard, help="Do part K of N of the cases.", rich_help_panel=RUN),
]
MaxMemoryOption = Annotated[
    float | None,
    typer.Option(
        "--max-memory",
        metavar="GIB",
        min=0,
        help="Memory that one case may use. By default, 9/10 of what is free.",
        rich_help_panel=RUN,
    ),
]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option("--max-seconds", metavar="SECONDS", min=0, help="Time that one case may take.", rich_help_panel=RUN),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Compute again what is already done.", rich_help_panel=RUN)
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and write nothing.", rich_help_panel=RUN)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=LOG)]
