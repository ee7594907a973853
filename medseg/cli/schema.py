"""`medseg schema`: what a configuration may hold."""

from __future__ import annotations

from typing import Annotated

import typer

from medseg.cli.options import WHAT
from medseg.cli.verb import print_json

__all__ = ["schema"]


def schema(
    pipeline: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Pipeline that `medseg list` shows, or a YAML file.", rich_help_panel=WHAT),
    ] = "batch-segmentation",
) -> int:
    """Print the JSON Schema of a pipeline's configuration, for editors.

    Example: medseg schema batch-segmentation > predict.schema.json
    """
    from medseg.engine.catalog import schema as schema_of

    print_json(schema_of(pipeline))
    return 0
