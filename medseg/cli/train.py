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
    WorkerCpusOption,
    option,
)
from medseg.cli.verb import print_json
from medseg.config.bounds import AtLeast1, Configurations, Duration, Folds, ProcessCount, Seed


def train(
    dataset: DatasetArgument,
    out: OutOption,
    config: ConfigOption = None,
    time_budget: Annotated[
        str | None,
        option(
            WHAT,
            "--time-budget",
            help="Length of the training, such as 90s, 20m or 1.5h.",
            metavar="TIME",
            kind=Duration,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        option(WHAT, "--epochs", help="Length of the training in epochs, at least 1.", metavar="N", kind=AtLeast1),
    ] = None,
    device: DeviceOption = "auto",
    start: Annotated[
        str | None,
        option(
            MODEL,
            "--from",
            help="Fine-tune the weights of this model package, or of a file of nnssl (OpenMind) or SuPreM.",
            metavar="PACKAGE|FILE",
        ),
    ] = None,
    interactive: Annotated[
        bool,
        option(
            WHAT,
            "--interactive",
            help="Train a model that takes a reader's clicks and scribbles, for medseg review --clicks. With --from, "
            "an automatic model is taught to, or one that takes clicks is fine-tuned.",
        ),
    ] = False,
    held_out: Annotated[
        Path | None,
        option(
            MODEL,
            "--held-out",
            help="Dataset with the cases that the model of --from held out, to compare both models on. By default, "
            "those that the dataset itself holds out.",
            metavar="DATASET",
            exists=True,
        ),
    ] = None,
    folds: Annotated[
        str | None,
        option(
            WHAT,
            "--folds",
            help="Cross-validate these folds: all, or numbers such as 0,1.",
            metavar="all|N,...",
            kind=Folds,
        ),
    ] = None,
    configuration: Annotated[
        str | None,
        option(
            MODEL,
            "--configuration",
            help="Kind of network to plan: 3d_fullres, 3d_lowres, 2d or cascade. Several, with --folds all, and the "
            "ensembles of any two are compared.",
            metavar="NAME,...",
            kind=Configurations,
        ),
    ] = None,
    final: Annotated[
        Literal["all", "ensemble"],
        option(
            MODEL,
            "--final",
            help="Model to keep after --folds all: one more, trained on all cases, or the average of the folds.",
        ),
    ] = "all",
    processes: Annotated[
        int,
        option(RUN, "--processes", help="Number of processes, one per GPU, 1 to 1024.", metavar="N", kind=ProcessCount),
    ] = 1,
    ray: Annotated[
        str | None,
        option(
            RUN,
            "--ray",
            help="Train the folds side by side on a Ray cluster: auto for the one this machine belongs to, or its "
            "address. Needs the extra ray.",
            metavar="auto|ADDRESS",
        ),
    ] = None,
    worker_cpus: WorkerCpusOption = None,
    seed: Annotated[
        int | None, option(RUN, "--seed", help="Seed of everything random, at least 0.", metavar="N", kind=Seed)
    ] = None,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Train a model and leave its package in OUT/model.

    Stopped by a signal, it writes a checkpoint; the same command resumes, also after a crash, and with a longer time
    budget or more epochs.

    --configuration cascade trains both stages; --configuration 3d_fullres,2d --folds all compares and chooses.

    A model that started from another takes its place only if it is as good on the cases that the other had held out:
    one whose mean Dice is lower by more than the standard error of the difference is moved to OUT/refused, exit code 3.

    With several processes, or started by torchrun, each takes a part of every step.

    DATASET may be results that were corrected in medseg review: their corrections are exported to OUT/corrections, as
    medseg review export does, and trained on.

    Example: medseg train datasets/example --out runs/example --time-budget 20m
    """
    import os
    import shlex
    import sys
    import time

    import psutil

    from medseg.io.files.review_folder import REVIEW, is_review
    from medseg.models.package import ModelPackage
    from medseg.training.options import TrainOptions
    from medseg.training.run import run_training

    if is_review(dataset / REVIEW):
        from medseg.review.training_data import training_data

        dataset = training_data(dataset, out, start)
    result = run_training(
        TrainOptions(
            dataset,
            out,
            config,
            time_budget=time_budget,
            epochs=epochs,
            device=device,
            start=start,
            interactive=interactive,
            held_out=held_out,
            folds=folds,
            configuration=configuration,
            final=final,
            processes=processes,
            ray=ray,
            worker_cpus=worker_cpus,
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
