"""`medseg train`: a model from data."""

from __future__ import annotations

from pathlib import Path
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

    Stopped by a signal, it writes a checkpoint; the same command goes on from there, also after a crash.

    --configuration cascade trains both stages; --configuration 3d_fullres,2d --folds all compares and chooses.

    With several processes, or started by torchrun, each takes a share of every step.

    Example: medseg train datasets/example --out runs/example --time-budget 20m
    """
    import os
    import shlex
    import sys
    import time

    import psutil

    if processes > 1 and "WORLD_SIZE" not in os.environ:
        from medseg.training.launch import launch

        return launch(processes, sys.argv[1:])

    from medseg.errors import UsageError
    from medseg.models.package import ModelPackage
    from medseg.training.config import TrainConfig
    from medseg.training.configure import configure
    from medseg.training.device import choose_device
    from medseg.training.distributed import joined
    from medseg.training.strategies import CASCADE, choose_among, configurations_of, train_cascade
    from medseg.training.train import train as run

    names = () if configuration is None else configurations_of(configuration)
    if (len(names) > 1 or final == "ensemble") and (folds or "").strip().lower() != "all":
        option = "--configuration" if len(names) > 1 else "--final"
        raise UsageError("nothing can be compared or averaged without folds", where=option, fix="Add --folds all.")
    command = shlex.join(["medseg", *sys.argv[1:]])
    spent = max(0.0, time.time() - psutil.Process().create_time())
    with joined(gpu=choose_device(device).type == "cuda") as together:
        before = time.monotonic()
        with together.in_turn():

            def planned(name: str | None, folder: Path) -> TrainConfig:
                return configure(
                    dataset,
                    config,
                    settings or [],
                    out=folder,
                    device=device,
                    time_budget=time_budget,
                    epochs=epochs,
                    seed=seed,
                    start=start,
                    configuration=name,
                )

            several = len(names) > 1 or CASCADE in names
            chosen = None if several else planned(names[0] if names else None, out)
        package: ModelPackage | None
        if len(names) > 1:
            package = choose_among(dataset, out, names, planned, final=final, device=device, command=command)
        elif chosen is None:
            package = train_cascade(dataset, out, planned, folds=folds, final=final, device=device, command=command)
        elif folds is not None:
            from medseg.data.splits import CROSSED
            from medseg.training.cross_validate import cross_validate, folds_of

            numbers = folds_of(folds, chosen.split.folds or CROSSED)
            package = cross_validate(
                dataset,
                out,
                chosen,
                numbers,
                device=device,
                command=command,
                final=final,
            )
        else:
            spent += time.monotonic() - before
            package = run(dataset, out, chosen, device=device, command=command, spent=spent)
    if not together.is_first:
        return 0
    if package is None:
        typer.echo(out / "cross_validation.json")
    elif json:
        print_json({"package": str(package.folder), "card": package.card.model_dump(mode="json")})
    else:
        typer.echo(package.folder)
    return 0
