"""`medseg plan`: fingerprint and plan of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from medseg.cli.options import INPUT, WHAT, WRITE, ConfigOption, DatasetArgument, DeviceOption, JsonOption
from medseg.cli.verb import print_json

__all__ = ["plan"]


def plan(
    dataset: DatasetArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="YAML file, or folder for plan.yaml. Without it, the plan is printed.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    config: ConfigOption = None,
    preset: Annotated[
        Literal["cpu", "8gb", "24gb", "40gb", "80gb"] | None,
        typer.Option("--preset", help="Size of the device. Without it, that of --device.", rich_help_panel=WHAT),
    ] = None,
    configuration: Annotated[
        Literal["3d_fullres", "3d_lowres", "2d"] | None,
        typer.Option(
            "--configuration", help="Kind of network to plan. Without it, the best one.", rich_help_panel=WHAT
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Print each choice with its reason, and what training needs.", rich_help_panel=WRITE
        ),
    ] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> int:
    """Look at a dataset and plan its training.

    The plan is a configuration with the reason of each choice beside it: change what you like and give it to
    medseg train --config. Cases that will be held out are not looked at.

    Example: medseg plan datasets/example --explain --out plan.yaml
    """
    from medseg.config.load import build
    from medseg.data.description import description_in
    from medseg.data.layouts import read_dataset
    from medseg.data.plan_text import explanation
    from medseg.io.files.atomic import write_text
    from medseg.training.config import TrainConfig
    from medseg.training.configure import fitting_preset, plan_dataset
    from medseg.training.cost import predict_cost

    said = description_in(config)
    made, seen, text = plan_dataset(
        dataset, preset=preset or fitting_preset(device), configuration=configuration, said=said
    )
    if out is not None:
        write_text(out if out.suffix in (".yaml", ".yml") else out / "plan.yaml", text)
    if json:
        print_json({"plan": made.values, "reasons": made.reasons, "skipped": seen.skipped})
    elif explain:
        data = read_dataset(dataset, said)
        typer.echo(explanation(made, data, seen))
        built = build(TrainConfig, made.values)
        typer.echo(f"\nTraining needs {predict_cost(built, data.scores, device=device)}.")
    elif out is None:
        typer.echo(text)
    return 0
