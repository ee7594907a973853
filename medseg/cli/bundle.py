"""`medseg bundle`: an installation for machines without network."""

from __future__ import annotations

import sys
from typing import Annotated

from medseg.cli.options import MODEL, MODEL_HELP, WHAT, JsonOption, OutOption, option
from medseg.cli.verb import print_json


def bundle(
    out: OutOption,
    model: Annotated[
        list[str] | None,
        option(
            MODEL,
            "--model",
            "-m",
            help=f"{MODEL_HELP} May be repeated; shipped models are always taken.",
            metavar="MODEL",
        ),
    ] = None,
    extras: Annotated[
        str | None,
        option(WHAT, "--extras", help="Extras of medseg to take along, such as ray,onnx.", metavar="EXTRA,..."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Collect medseg, its packages and models in a folder that installs without network.

    Takes the versions that are installed here, for machines with the same system and Python. On the other machine:
    python install.py FOLDER.

    Example: medseg bundle --out medseg-bundle --model runs/liver/model
    """
    from medseg.engine.bundle import bundle as collect

    made = collect(out, model=model or (), extras=extras or ())
    if json:
        print_json({"folder": made.folder, "wheels": made.wheels, "models": made.models, "bytes": made.bytes})
    else:
        sys.stdout.write(f"{made.folder}\t{len(made.wheels)} packages\t{made.bytes / 1e6:.0f} MB\n")
    return 0
