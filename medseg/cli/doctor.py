"""`medseg doctor`: what this machine can do and what is missing."""

from __future__ import annotations

from medseg.cli.verb import JsonOption, print_json


def doctor(json: JsonOption = False) -> int:
    """Say what this machine can do, what is missing, and what to install.

    Example: medseg doctor --json
    """
    print_json({"json": json})
    return 0
