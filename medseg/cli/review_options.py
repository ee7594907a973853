"""The arguments and options that several verbs of `medseg review` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from medseg.cli.options import INPUT, WHAT, argument, option

ReviewedArgument = Annotated[
    Path, argument(INPUT, "DIR", help="Output folder of medseg predict.", exists=True, file_okay=False)
]
ScansOption = Annotated[
    list[Path] | None,
    option(
        INPUT,
        "--scans",
        help="Files and folders where the scans are now; may be repeated. By default, where the run found them.",
        metavar="PATH",
        exists=True,
    ),
]


def reviewer_option(help: str) -> Any:
    """Declare the option that names a reader; each verb says for what."""
    return option(WHAT, "--reviewer", help=help, metavar="NAME")
