"""The options and arguments that several verbs share, and the groups that `--help` shows them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from medseg.cli.checks import checked
from medseg.config.bounds import AtLeast1, Device, MoreThan0, ShardName

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


def option(group: str, *names: str, help: str, kind: Any = None, **more: Any) -> Any:
    """Declare an option in a group of `--help`; of a kind in `medseg.config.bounds`, where it has bounds or a form."""
    return typer.Option(*names, help=help, rich_help_panel=group, **{**checked(kind), **more})


def argument(group: str, metavar: str, *, help: str, **more: Any) -> Any:
    """Declare an argument in a group of `--help`."""
    return typer.Argument(metavar=metavar, help=help, rich_help_panel=group, **more)


OptionalInputsArgument = Annotated[
    list[Path] | None, argument(INPUT, "INPUT", help="Files and folders, mixed; none with a manifest.", exists=True)
]
RootOption = Annotated[
    str | None,
    option(
        INPUT,
        "--root",
        help="Folder or address that paths in the manifest are relative to. Without it, the manifest's own folder.",
        metavar="DIR|ADDRESS",
    ),
]
InputsArgument = Annotated[list[Path], argument(INPUT, "INPUT", help="Files and folders, mixed.", exists=True)]
DatasetArgument = Annotated[Path, argument(INPUT, "DATASET", help="Folder of the dataset, in any layout.", exists=True)]
_OUT = option(INPUT, "--out", "-o", help="Folder for the results.", metavar="DIR")
OutOption = Annotated[Path, _OUT]
OptionalOutOption = Annotated[Path | None, _OUT]
MODEL_HELP = "Model name, package folder or zip, or models:/NAME@ALIAS."
_MODEL = option(MODEL, "--model", "-m", help=MODEL_HELP, metavar="MODEL")
ModelOption = Annotated[str, _MODEL]
OptionalModelOption = Annotated[str | None, _MODEL]
ModelArgument = Annotated[str, argument(MODEL, "MODEL", help=MODEL_HELP)]
TolerancesOption = Annotated[
    list[float] | None,
    option(
        WHAT,
        "--tolerance",
        help="Tolerance of NSD, more than 0; may be repeated. By default, 1 and 2.",
        metavar="MM",
        kind=MoreThan0,
    ),
]
_DEVICE = option(
    RUN,
    "--device",
    help="Device that computes the network; auto takes a GPU where there is one.",
    metavar="auto|cpu|cuda|cuda:N",
    kind=Device,
)
DeviceOption = Annotated[str, _DEVICE]
OptionalDeviceOption = Annotated[str | None, _DEVICE]
ConfigOption = Annotated[
    str | None,
    option(
        SETTINGS,
        "--config",
        "-c",
        help="Configuration to start from: the name of a shipped one, or a YAML file.",
        metavar="NAME|FILE",
    ),
]
SetOption = Annotated[
    list[str] | None,
    option(SETTINGS, "--set", help="Change one value of the configuration; may be repeated.", metavar="A.B=C"),
]
AllowUnevenOption = Annotated[
    bool,
    option(WHAT, "--allow-uneven", help="Resample missing or unevenly spaced slices instead of rejecting the scan."),
]
KeepNamesOption = Annotated[
    bool,
    option(WRITE, "--keep-names", help="Keep file names that look like a patient's in case ids and reports."),
]
AllowIncompleteOption = Annotated[
    bool,
    option(WHAT, "--allow-incomplete", help="Read a DICOM series that lost a part without it instead of rejecting it."),
]
ShardOption = Annotated[
    str | None,
    option(
        RUN,
        "--shard",
        help="Do part K of N of the cases, K from 1 to N; auto takes the task of a SLURM array or of a Kubernetes "
        "Indexed Job, whose number of completions is JOB_COMPLETIONS or N of auto/N.",
        metavar="K/N|auto|auto/N",
        kind=ShardName,
    ),
]
WorkerCpusOption = Annotated[
    int | None,
    option(
        RUN,
        "--worker-cpus",
        help="CPUs of each worker of --ray, at least 1; by default 4. A GPU has a worker of its own.",
        metavar="N",
        kind=AtLeast1,
    ),
]
MaxMemoryOption = Annotated[
    float | None,
    option(
        RUN,
        "--max-memory",
        help="Memory that one case may use, more than 0. By default, 9/10 of what is free.",
        metavar="GIB",
        kind=MoreThan0,
    ),
]
MaxSecondsOption = Annotated[
    float | None,
    option(RUN, "--max-seconds", help="Time that one case may take, more than 0.", metavar="SECONDS", kind=MoreThan0),
]
OverwriteOption = Annotated[bool, option(RUN, "--overwrite", help="Compute again what is already done.")]
DryRunOption = Annotated[bool, option(RUN, "--dry-run", help="Show what would be done, and write nothing.")]
JsonOption = Annotated[bool, option(LOG, "--json", help="Print the result as JSON.")]
