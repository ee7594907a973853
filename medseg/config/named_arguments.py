"""Names in errors what a caller wrote: arguments in Python, options on the command line.

Messages name options as they are typed, because most of their readers type them. Where a public function is called from
Python, they name its arguments instead.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager

from medseg.errors import MedsegError

OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")
# Options that are not spelled as the arguments they stand for; see docs/decisions/0003.
OTHERWISE = {
    "class": "classes",
    "from": "start",
    "metric": "metrics",
    "region": "regions",
    "set": "settings",
    "tolerance": "tolerances",
}
CODE = re.compile(r"(`[^`]*`)")
# A whole command, which is to be typed, stays one.
COMMAND = re.compile(r"\bmedseg [a-z]+[^.]*$")

_typed = [False]


@contextmanager
def options_are_typed() -> Iterator[None]:
    """Leave options in messages as they are while a command line runs."""
    before, _typed[0] = _typed[0], True
    try:
        yield
    finally:
        _typed[0] = before


def name_arguments(error: MedsegError, known: Container[str]) -> None:
    """Change an error's options into the arguments of a function; those that are none of its `known` ones stay."""
    if _typed[0]:
        return
    error.what = _named(error.what, known)
    error.where = None if error.where is None else _named(error.where, known)
    error.fix = None if error.fix is None else _named(error.fix, known)
    error.args = (error.what,)


def show_help(error: MedsegError, public_name: str) -> None:
    """Name the documentation of a function in an error about its arguments that has no fix of its own."""
    if error.fix is None and not _typed[0]:
        error.fix = f"help({public_name}) shows what each argument may be."


def _named(text: str, known: Container[str]) -> str:
    def argument(found: re.Match[str]) -> str:
        name = OTHERWISE.get(found[1], found[1].replace("-", "_"))
        if name not in known or COMMAND.search(found.string[: found.start()]):
            return found[0]
        return f"`{name}`"

    return "".join(part if CODE.fullmatch(part) else OPTION.sub(argument, part) for part in CODE.split(text))
