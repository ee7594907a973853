"""Names of parameters and metrics as MLflow allows them; those of classes hold whatever their makers chose."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

# MLflow's own rules; colons are refused on Windows only.
REFUSED = re.compile(r"[^/\w.\- ]")
LONGEST_NAME = 250


def with_valid_names(values: Mapping[str, Value]) -> dict[str, Value]:
    """Give every value a name that MLflow records: as it is where possible, else with _ for what is refused.

    Names that would become the same are numbered, so that no value is lost.
    """
    found: dict[str, Value] = {}
    taken = {name for name in values if _valid(name) == name}
    for name, value in values.items():
        valid = _valid(name)
        if valid != name:
            number, first = 2, valid
            while valid in taken:
                valid, number = f"{first[: LONGEST_NAME - 8]} {number}", number + 1
            taken.add(valid)
        found[valid] = value
    return found


def _valid(name: str) -> str:
    name = REFUSED.sub("_", name)[:LONGEST_NAME]
    # It may stand for a path, and must then be the plainest one.
    if name != posixpath.normpath(name) or name.startswith(("/", "..")) or name == ".":
        name = re.sub(r"(^|/)\.*(?=/|$)", "_", name).replace("/", "_")
    return name
