"""Says what is wrong with a command line, naming the option the way the user typed it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import typer


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return one line such as ``--overlap 2: must be between 0 and 0.9``."""
    param = getattr(error, "param", None)
    if option := getattr(error, "option_name", None):
        return _unknown_option(error, option)
    if param is None:
        message = error.format_message()
        return message[0].lower() + message[1:].rstrip(".")
    if type(error).__name__ == "MissingParameter":
        name = max(param.opts, key=len) if param.param_type_name == "option" else param.metavar or param.name.upper()
        return f"{name} is missing{f': {param.help}' if param.help else ''}".rstrip(".")
    if missing := re.search(r"'(.*)' does not exist", error.message):
        name = param.opts[0] if param.param_type_name == "option" else param.metavar
        return f"{name} {missing[1]}: there is no such file or folder"
    return f"{_typed(param, arguments)}: {_reason(error, param)}"


def _unknown_option(error: Any, option: str) -> str:
    if type(error).__name__ != "NoSuchOption":
        return f"{option}: {error.message.rstrip('.').lower()}"
    options = [name for param in error.ctx.command.params for name in param.opts]
    near = get_close_matches(option, options, n=1)
    return f"there is no option {option}{f'. Did you mean {near[0]}?' if near else ''}"


def _typed(param: Any, arguments: Sequence[str]) -> str:
    """Return an option and its value as they stand on the command line."""
    for here, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = here.partition("=")
        if name in param.opts:
            return f"{name} {value if equals else following}".rstrip()
    return str(param.metavar or param.name.upper())


def _reason(error: Any, param: Any) -> str:
    kind = param.type_descriptor
    if kind.is_choice:
        return f"must be one of {', '.join(map(str, kind.choices))}"
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    number = {"int": "a whole number", "float": "a number"}.get(param.bare_type())
    must = f"must be {number}" if number and "valid" in str(error.message) else "must be"
    if low is not None and high is not None:
        return f"{must} between {low:g} and {high:g}"
    if low is not None or high is not None:
        return f"{must} at least {low:g}" if high is None else f"{must} at most {high:g}"
    return must if must != "must be" else str(error.message).rstrip(".").removeprefix("Value error, ")
