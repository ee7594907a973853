"""`medseg plan`: fingerprint and plan of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import JsonOption, print_json

__all__ = ["plan"]


def plan(
    dataset: Annotated[Path, typer.Argument(help="The dataset, as it is.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File, or folder for plan.yaml; without it the plan is printed.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="A configuration whose `dataset` says what the files do not.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="cpu, 8gb, 24gb, 40gb or 80gb; without it what is here.")
    ] = None,
    configuration: Annotated[str | None, typer.Option("--configuration", help="3d_fullres, 3d_lowres or 2d.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print each choice with its reason, and what a run would need.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda or cuda:N; times are measured there.")
    ] = "auto",
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
