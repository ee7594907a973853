"""`medseg copy`: a shipped file, to change it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from medseg.cli.options import WHAT, WRITE, JsonOption, argument
from medseg.cli.verb import print_json


def copy(
    name: Annotated[str, argument(WHAT, "NAME", help="Configuration or pipeline that `medseg list` shows.")],
    destination: Annotated[Path, argument(WRITE, "DEST", help="New file, or a folder that there is.")],
    json: JsonOption = False,
) -> int:
    """Copy a shipped configuration or pipeline, comments included, to change it.

    Example: medseg copy predict mine.yaml
    """
    from medseg.engine.catalog import copy_shipped

    copied = copy_shipped(name, destination)
    if json:
        print_json({"file": copied})
    else:
        sys.stdout.write(f"{copied}\n")
    return 0
