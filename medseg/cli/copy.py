"""`medseg copy`: a shipped file, to change it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medseg.cli.options import INPUT, WHAT

__all__ = ["copy"]


def copy(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A configuration or pipeline that `medseg list` shows.", rich_help_panel=WHAT
        ),
    ],
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="A new file, or a folder.", rich_help_panel=INPUT)
    ],
) -> int:
    """Copy a shipped configuration or pipeline, comments included, to change it.

    Example: medseg copy predict mine.yaml
    """
    from medseg.engine.catalog import copy_shipped

    sys.stdout.write(f"{copy_shipped(name, destination)}\n")
    return 0
