"""`medseg run`: any pipeline."""

from __future__ import annotations

from typing import Annotated

from medseg.cli.options import (
    WHAT,
    ConfigOption,
    DryRunOption,
    InputsArgument,
    JsonOption,
    MaxMemoryOption,
    MaxSecondsOption,
    OutOption,
    OverwriteOption,
    SetOption,
    ShardOption,
    argument,
)
from medseg.cli.verb import print_result


def run(
    pipeline: Annotated[str, argument(WHAT, "PIPELINE", help="Name of a shipped pipeline, or a YAML file.")],
    inputs: InputsArgument,
    out: OutOption,
    config: ConfigOption = None,
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
    from medseg.engine.predict import run_pipeline
    from medseg.engine.runner import RunOptions
    from medseg.engine.shard import Shard
    from medseg.isolation.process import Guard

    options = RunOptions(
        overwrite, dry_run, None if shard is None else Shard.parse(shard), guard=Guard(max_memory, max_seconds)
    )
    result = run_pipeline(pipeline, inputs, out, config=config, settings=settings or [], options=options)
    print_result(result, json=json, dry_run=dry_run)
    return result.exit_code
