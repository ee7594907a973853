"""The options and arguments that several verbs share, and the groups that `--help` shows them in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

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


def option(group: str, *names: str, help: str, **more: Any) -> Any:
    """Declare an option in a group of `--help`."""
    return typer.Option(*names, help=help, rich_help_panel=group, **more)


def argument(group: str, metavar: str, *, help: str, **more: Any) -> Any:
    """Declare an argument in a group of `--help`."""
    return typer.Argument(metavar=metavar, help=help, rich_help_panel=group, **more)


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


def matching(pattern: str, what: str) -> Callable[[str | None], str | None]:
    """Return the callback of an option whose text must have a form."""

    def check(text: str | None) -> str | None:
        if text is not None and not re.fullmatch(pattern, text.strip()):
            raise typer.BadParameter(f"must be {what}")
        return text

    return check


def _more_than_0(number: float | None) -> float | None:
    if number is None or number > 0:
        return number
    raise typer.BadParameter("must be more than 0")


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
InputsArgument = Annotated[list[Path], argument(INPUT, "INPUT", help="Files and folders, mixed.", exists=True)]
DatasetArgument = Annotated[Path, argument(INPUT, "DATASET", help="Folder of the dataset, in any layout.", exists=True)]
_OUT = option(INPUT, "--out", "-o", help="Output folder.")
OutOption = Annotated[Path, _OUT]
OptionalOutOption = Annotated[Path | None, _OUT]
MODEL_HELP = "Model name, package folder or zip, or models:/NAME@ALIAS."
_MODEL = option(MODEL, "--model", "-m", help=MODEL_HELP)
ModelOption = Annotated[str, _MODEL]
OptionalModelOption = Annotated[str | None, _MODEL]
ModelArgument = Annotated[str, argument(MODEL, "MODEL", help=MODEL_HELP)]
_DEVICE = option(
    RUN,
    "--device",
    help="Where the network runs. With auto, on a GPU where there is one.",
    metavar="<auto|cpu|cuda|cuda:N>",
    callback=matching(r"auto|cpu|cuda(:\d+)?", "auto, cpu, cuda or cuda:N"),
)
DeviceOption = Annotated[str, _DEVICE]
OptionalDeviceOption = Annotated[str | None, _DEVICE]
ConfigOption = Annotated[
    str | None, option(SETTINGS, "--config", "-c", help="Shipped configuration or YAML file.", metavar="NAME|FILE")
]
SetOption = Annotated[
    list[str] | None,
    option(SETTINGS, "--set", help="Change one value of the configuration; may be repeated.", metavar="A.B=C"),
]
AllowUnevenOption = Annotated[
    bool,
    option(WHAT, "--allow-uneven", help="Resample missing or unevenly spaced slices instead of rejecting the scan."),
]
ShardOption = Annotated[
    str | None, option(RUN, "--shard", help="Do part K of N of the cases.", metavar="K/N", callback=_shard)
]
MaxMemoryOption = Annotated[
    float | None,
    option(
        RUN,
        "--max-memory",
        help="Memory that one case may use. By default, 9/10 of what is free.",
        metavar="GIB",
        callback=_more_than_0,
    ),
]
MaxSecondsOption = Annotated[
    float | None,
    option(RUN, "--max-seconds", help="Time that one case may take.", metavar="SECONDS", callback=_more_than_0),
]
OverwriteOption = Annotated[bool, option(RUN, "--overwrite", help="Compute again what is already done.")]
DryRunOption = Annotated[bool, option(RUN, "--dry-run", help="Show what would be done, and write nothing.")]
JsonOption = Annotated[bool, option(LOG, "--json", help="Print the result as JSON.")]
