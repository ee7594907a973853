"""`medseg plan`: fingerprint and plan of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medseg.cli.options import (
    INPUT,
    WHAT,
    WRITE,
    ConfigOption,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    SetOption,
    option,
)
from medseg.cli.verb import print_json


def plan(
    dataset: DatasetArgument,
    out: Annotated[
        Path | None,
        option(
            INPUT,
            "--out",
            "-o",
            help="YAML file, or folder for plan.yaml. Without it, the plan is printed.",
            metavar="PATH",
        ),
    ] = None,
    config: ConfigOption = None,
    preset: Annotated[
        Literal["cpu", "8gb", "24gb", "40gb", "80gb"] | None,
        option(WHAT, "--preset", help="Size of the device. Without it, that of --device."),
    ] = None,
    configuration: Annotated[
        Literal["3d_fullres", "3d_lowres", "2d"] | None,
        option(WHAT, "--configuration", help="Kind of network to plan. Without it, the best one."),
    ] = None,
    explain: Annotated[
        bool, option(WRITE, "--explain", help="Print each choice with its reason, and what training needs.")
    ] = False,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Look at a dataset and plan its training.

    The plan is a configuration with the reason of each choice beside it: change what you like and give it to
    medseg train --config. Cases that will be held out are not looked at.

    Example: medseg plan datasets/example --explain --out plan.yaml
    """
    from medseg.training.plan import plan as plan_training

    made = plan_training(
        dataset,
        out,
        config=config,
        settings=settings or [],
        preset=preset,
        configuration=configuration,
        explain=explain,
        device=device,
    )
    if json:
        print_json({"plan": made.plan.values, "reasons": made.plan.reasons, "skipped": made.fingerprint.skipped})
    elif made.explanation is not None:
        typer.echo(made.explanation)
    elif out is None:
        typer.echo(made.text)
    return 0
