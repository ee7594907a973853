"""`medseg bench`: comparisons on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json, verb

__all__ = ["group", "ladder"]

group = typer.Typer(help="Compare networks on this machine.", no_args_is_help=True)


@group.callback()
def _bench() -> None:
    """Compare networks on this machine."""


def ladder(
    dataset: Annotated[Path, typer.Argument(help="Folder of the dataset, as it is.")],
    config: Annotated[str, typer.Option(help="Name of a shipped ladder, or path of a YAML file.")],
    out: Annotated[Path, typer.Option(help="Folder for the page, the table and the plots.")],
    work: Annotated[Path, typer.Option(help="Folder for the runs; rungs whose result is there are not run again.")],
    time_budget: Annotated[
        str | None, typer.Option(help="Training time of each rung, for instance 3m; on a CPU processor time.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    only: Annotated[list[str] | None, typer.Option(metavar="RUNG", help="Run this rung; may be repeated.")] = None,
    json: JsonOption = False,
) -> int:
    """Train every network of a ladder for the same time and compare them.

    Stopped by a signal, the same command goes on from there.

    Example: medseg bench ladder DATASET --config ladder-membranes --work runs/ladder --out docs/benchmarks
    """
    import shlex
    from dataclasses import asdict

    from medseg import resources
    from medseg.bench.ladder import climb
    from medseg.bench.ladder_config import read_ladder
    from medseg.bench.ladder_report import Circumstances, write_ladder
    from medseg.training.configure import seconds_of
    from medseg.training.device import choose_device

    chosen = read_ladder(resources.find("configs", config))
    budget = time_budget or chosen.time_budget
    seconds = seconds_of(budget)
    results = climb(dataset, chosen, work / chosen.name, seconds=seconds, device=device, only=only or [])
    words = ["medseg", "bench", "ladder", dataset.name, "--config", config, "--time-budget", budget]
    told = Circumstances(shlex.join(words), dataset.resolve().name, seconds, choose_device(device))
    page = write_ladder(chosen, results, told, out)
    if json:
        print_json({"page": str(page), "rungs": [asdict(result) for result in results]})
    else:
        typer.echo(page)
    failed = sum(bool(result.failure) for result in results)
    return 0 if not failed else 4 if failed == len(results) else 3


group.command("ladder")(verb(ladder))
