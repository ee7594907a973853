"""`medseg run`: any pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.verb import (
    DryRunOption,
    JsonOption,
    MaxMemoryOption,
    MaxSecondsOption,
    OverwriteOption,
    SetOption,
    ShardOption,
    print_result,
)

__all__ = ["run"]


def run(
    pipeline: Annotated[str, typer.Argument(help="A shipped pipeline's name, or a YAML file.")],
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Files and folders, mixed.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    config: Annotated[
        str | None, typer.Option("--config", help="A shipped configuration's name, or a YAML file.")
    ] = None,
    shard: ShardOption = None,
    max_memory: MaxMemoryOption = None,
    max_seconds: MaxSecondsOption = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    settings: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Run a declared chain of stages over many cases.

    Example: medseg run batch-segmentation scans/ --config predict --set segment.model=hippocampus --out results
    """
    from medseg.engine.isolation import Guard
    from medseg.engine.predict import run_pipeline
    from medseg.engine.runner import RunOptions, Shard

    options = RunOptions(
        overwrite, dry_run, Shard() if shard is None else Shard.parse(shard), guard=Guard(max_memory, max_seconds)
    )
    result = run_pipeline(pipeline, inputs, out, config=config, overrides=settings or [], options=options)
    print_result(result, json=json, dry_run=dry_run)
    return 0 if dry_run and result.outcomes else result.exit_code
