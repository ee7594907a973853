"""`medseg train`: a model from data."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from medseg.cli.options import (
    MODEL,
    RUN,
    WHAT,
    ConfigOption,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    OutOption,
    SetOption,
    comma_separated,
)
from medseg.cli.verb import print_json

__all__ = ["train"]


def train(
    dataset: DatasetArgument,
    out: OutOption,
    config: ConfigOption = None,
    time_budget: Annotated[
        str | None,
        typer.Option("--time-budget", help="Length of the training, such as 90s, 20m or 1.5h.", rich_help_panel=WHAT),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Length of the training in epochs.", rich_help_panel=WHAT)
    ] = None,
    device: DeviceOption = "auto",
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PACKAGE", help="Fine-tune the weights of this model package.", rich_help_panel=MODEL
        ),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option("--folds", help="Cross-validate these folds: all, or numbers such as 0,1.", rich_help_panel=WHAT),
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(
            "--configuration",
            metavar="NAME,...",
            callback=comma_separated("3d_fullres", "3d_lowres", "2d", "cascade"),
            help="Kind of network to plan: 3d_fullres, 3d_lowres, 2d or cascade. Several, with --folds all, are "
            "compared.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    final: Annotated[
        Literal["all", "ensemble"],
        typer.Option(
            "--final",
            help="After --folds all: train once more on all cases, or average the models of the folds.",
            rich_help_panel=MODEL,
        ),
    ] = "all",
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Number of processes, one per GPU.", rich_help_panel=RUN)
    ] = 1,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of everything random.", rich_help_panel=RUN)] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Train a model and leave its package in OUT/model.

    Stopped by a signal, it writes a checkpoint; the same command resumes, also after a crash, and with a longer time
    budget or more epochs.

    --configuration cascade trains both stages; --configuration 3d_fullres,2d --folds all compares and chooses.

    With several processes, or started by torchrun, each takes a share of every step.

    Example: medseg train datasets/example --out runs/example --time-budget 20m
    """
    import os
    import shlex
    import sys
    import time

    import psutil

    from medseg.models.package import ModelPackage
    from medseg.training.options import TrainOptions
    from medseg.training.run import run_training

    result = run_training(
        TrainOptions(
            dataset,
            out,
            config,
            time_budget=time_budget,
            epochs=epochs,
            device=device,
            start=start,
            folds=folds,
            configuration=configuration,
            final=final,
            processes=processes,
            seed=seed,
            settings=tuple(settings or ()),
            command=shlex.join(["medseg", *sys.argv[1:]]),
            # The budget counts the start of the process.
            started=time.monotonic() - max(0.0, time.time() - psutil.Process().create_time()),
        )
    )
    if os.environ.get("RANK", "0") != "0":
        return 0
    if not isinstance(result, ModelPackage):
        typer.echo(result.path)
    elif json:
        print_json({"package": str(result.folder), "card": result.card.model_dump(mode="json")})
    else:
        typer.echo(result.folder)
    return 0
