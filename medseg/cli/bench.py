"""`medseg bench`: comparisons on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import (
    INPUT,
    SETTINGS,
    WHAT,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    OutOption,
    SetOption,
    option,
)
from medseg.cli.verb import print_json, verb
from medseg.config.bounds import Duration

group = typer.Typer(
    no_args_is_help=True,
    help="""Compare networks on this machine.

    `medseg bench VERB --help` shows the options of a verb, with an example.

    Example: medseg bench architectures DATASET --config architectures-membranes --work runs/compare --out figures
    """,
)


def architectures(
    dataset: DatasetArgument,
    config: Annotated[
        str, option(SETTINGS, "--config", "-c", help="Shipped comparison or YAML file.", metavar="NAME|FILE")
    ],
    out: OutOption,
    work: Annotated[
        Path,
        option(
            INPUT,
            "--work",
            help="Folder for the runs; architectures whose result is there are not trained again.",
            metavar="DIR",
        ),
    ],
    time_budget: Annotated[
        str | None,
        option(
            WHAT,
            "--time-budget",
            help="Training time of each architecture, such as 3m. On a CPU, CPU time counts.",
            metavar="TIME",
            kind=Duration,
        ),
    ] = None,
    device: DeviceOption = "auto",
    only: Annotated[
        list[str] | None,
        option(WHAT, "--only", help="Train this architecture; may be repeated.", metavar="ARCHITECTURE"),
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Compare network architectures, each trained for the same time on the same cases.

    Stopped by a signal, the same command resumes.

    Example: medseg bench architectures DATASET --config architectures-membranes --work runs/compare --out figures
    """
    import shlex
    from dataclasses import asdict

    from medseg import resources
    from medseg.bench.architectures import Comparison, check_names, compare_architectures
    from medseg.bench.architectures_config import read_architectures
    from medseg.bench.architectures_report import Circumstances, write_architectures
    from medseg.data.layouts import read_dataset
    from medseg.models.family import require
    from medseg.training.device import choose_device
    from medseg.training.options import seconds_of

    chosen = read_architectures(resources.find("configs", config), settings or [])
    budget = time_budget or chosen.time_budget
    seconds = seconds_of(budget)
    check_names(chosen, only or ())
    require("matplotlib", extra="plots", needed_by="medseg bench architectures")  # before hours of training
    comparison = Comparison(chosen, read_dataset(dataset), work / chosen.name, seconds, device)
    results = compare_architectures(comparison, only or ())
    words = ["medseg", "bench", "architectures", dataset.name, "--config", config, "--time-budget", budget]
    words += ["--work", work.name, "--out", out.name, *(f"--set={setting}" for setting in settings or ())]
    circumstances = Circumstances(shlex.join(words), dataset.resolve().name, seconds, choose_device(device))
    page = write_architectures(chosen, results, circumstances, out)
    if json:
        print_json({"page": str(page), "architectures": [asdict(result) for result in results]})
    else:
        typer.echo(page)
    failed = sum(bool(result.failure) for result in results)
    return 0 if not failed else 4 if failed == len(results) else 3


group.command("architectures", rich_help_panel="Compare")(verb(architectures))
