"""`medseg copy`: a shipped file, to change it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from medseg.cli.options import WHAT, WRITE, argument


def copy(
    name: Annotated[str, argument(WHAT, "NAME", help="A configuration or pipeline that `medseg list` shows.")],
    destination: Annotated[Path, argument(WRITE, "DEST", help="A new file, or a folder.")],
) -> int:
    """Copy a shipped configuration or pipeline, comments included, to change it.

    Example: medseg copy predict mine.yaml
    """
    from medseg.engine.catalog import copy_shipped

    sys.stdout.write(f"{copy_shipped(name, destination)}\n")
    return 0
