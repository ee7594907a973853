"""How an option is written where help or an error names it."""

from __future__ import annotations

from typing import Any


def placeholder(param: Any) -> str:
    """What stands for a value: the values of a closed choice, else a word for it, such as DIR."""
    choices = param.type_descriptor.choices if param.type_descriptor.is_choice else None
    return "|".join(map(str, choices)) if choices else str(param.metavar or param.name.upper())


def spelled(param: Any) -> str:
    """An argument or option as it is typed, such as ``-o, --out DIR``."""
    if param.param_type_name == "argument":
        return placeholder(param)
    names = ", ".join(sorted(param.opts, key=len))
    return names if param.is_flag else f"{names} {placeholder(param)}"
