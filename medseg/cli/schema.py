"""`medseg schema`: what a configuration may hold."""

from __future__ import annotations

from typing import Annotated

from medseg.cli.options import WHAT, JsonOption, argument
from medseg.cli.verb import print_json


def schema(
    name: Annotated[
        str,
        argument(
            WHAT,
            "NAME",
            help="What is configured: train, predict, evaluate, node (that of `medseg serve`), a pipeline of "
            "`medseg list`, or the YAML file of one.",
        ),
    ] = "predict",
    json: JsonOption = False,  # noqa: ARG001 (a schema is JSON anyway)
) -> int:
    """Print the JSON Schema of a configuration, for editors and for a check before a run.

    Example: medseg schema train > train.schema.json
    """
    from medseg.engine.catalog import DIALECT
    from medseg.engine.catalog import schema as schema_of

    if name == "node":  # of a package above the engine's
        from medseg.service.node.config import NodeConfig

        print_json({"$schema": DIALECT, **NodeConfig.model_json_schema(), "title": "medseg node"})
        return 0
    print_json(schema_of(name))
    return 0
