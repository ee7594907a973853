"""The option that the verbs of `serve` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from medseg.cli.options import SETTINGS, option

NodeOption = Annotated[
    Path, option(SETTINGS, "--config", "-c", help="The node's configuration, a YAML file.", metavar="FILE")
]
