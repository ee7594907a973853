"""`medseg list`: what comes with this installation."""

from __future__ import annotations

import sys

from medseg.cli.options import JsonOption
from medseg.cli.verb import print_json


def list(json: JsonOption = False) -> int:
    """List the models, pipelines, configurations and stages of this installation.

    Example: medseg list
    """
    from medseg.engine.catalog import catalog

    found = catalog()
    if json:
        print_json(found)
        return 0
    for kind, entries in found.items():
        sys.stdout.write(f"{kind}\n")
        for name, text in entries.items():
            sys.stdout.write(f"  {name:<24} {text}\n".rstrip() + "\n")
    return 0
