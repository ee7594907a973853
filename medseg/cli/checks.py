"""Options that take only what their kind in `medseg.config.bounds` allows, refused before anything is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from annotated_types import Ge, Gt, Le

from medseg.config.bounds import Form, limits


def checked(kind: Any) -> dict[str, Any]:
    """Return what Typer needs to hold an option to the bounds and forms of a kind."""
    found: dict[str, Any] = {}
    others: list[Gt | Form] = []
    for one in limits(kind):
        if isinstance(one, Ge):
            found["min"] = one.ge
        elif isinstance(one, Le):
            found["max"] = one.le
        else:
            others.append(one)
    return {**found, "callback": _callback(tuple(others))} if others else found


def _callback(others: tuple[Gt | Form, ...]) -> Callable[[Any], Any]:
    """The callback of an option; of one that may be repeated, each value is checked."""

    def check(given: Any) -> Any:
        for value in given if isinstance(given, list) else [] if given is None else [given]:
            for limit in others:
                _check(limit, value)
        return given

    return check


def _check(limit: Gt | Form, value: Any) -> None:
    if isinstance(limit, Gt):
        if not value > limit.gt:
            raise typer.BadParameter(f"must be more than {limit.gt}")
        return
    try:
        limit.check(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
