"""`medseg schema`: what a configuration may hold."""

from __future__ import annotations

from typing import Annotated

from medseg.cli.options import WHAT, argument
from medseg.cli.verb import print_json


def schema(
    name: Annotated[
        str,
        argument(
            WHAT,
            "NAME",
            help="Name of a configuration: train, predict, evaluate, or any pipeline of `medseg list` or YAML file.",
        ),
    ] = "predict",
) -> int:
    """Print the JSON Schema of a configuration, for editors and for a check before a run.

    Example: medseg schema train > train.schema.json
    """
    from medseg.engine.catalog import schema as schema_of

    print_json(schema_of(name))
    return 0
