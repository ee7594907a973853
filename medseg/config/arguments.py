"""Checks what a public function is called with against its signature, as keys of a configuration are checked."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from medseg.config.load import build
from medseg.config.named_arguments import OTHERWISE, name_arguments, show_help
from medseg.errors import OF_A_PATH, ConfigError, MedsegError, UsageError, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")
Item = TypeVar("Item", bound=str | Path)


def listed(given: Item | Sequence[Item]) -> list[Item]:
    """Return the items given; a single text or path is one."""
    return [given] if isinstance(given, str | Path) else list(given)


def _bound(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> inspect.BoundArguments:
    """The arguments by name; what is none of them gets Python's own error, and the one that was meant."""
    signature = inspect.signature(function)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        known = signature.parameters
        unknown = [name for name in kwargs if name not in known]
        hint = next((near for name in unknown if (near := did_you_mean(OTHERWISE.get(name, name), known))), "")
        raise TypeError(f"{function.__qualname__}() {error}. {hint}".removesuffix(". ")) from None


def _refuse_empty(given: Mapping[str, Any], model: type[BaseModel], public_name: str) -> None:
    """Refuse an empty text for a path, which would be the folder that Python runs in."""
    for name, value in given.items():
        several = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(one, str) and not one for one in several) and _is_path(model.model_fields[name].annotation):
            raise ConfigError(f"{name}: must not be empty", where=public_name, fix="Name a file or a folder.")


def _is_path(kind: Any) -> bool:
    """Whether a type is that of a path, or of several, or may be."""
    return kind is Path or any(_is_path(inner) for inner in typing.get_args(kind))


def check_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Do as `check_arguments_of` for a function or a method that is public in `medseg` itself."""
    return check_arguments_of(f"medseg.{function.__qualname__}")(function)


def check_arguments_of(public_name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function raise `ConfigError`, naming the argument, where one is of another type than its signature says.

    Errors that it raises name its arguments, and not the options of the command line that stand for them. What the
    system says of a path while it works is a `UsageError`.

    - `public_name`: as its callers write it, for instance ``medseg.review.open``.
    """

    def checked(function: Callable[P, R]) -> Callable[P, R]:
        @cache  # made at the first call, so that importing stays quick
        def model() -> type[BaseModel]:
            hints = typing.get_type_hints(function, include_extras=True)
            names = [name for name in inspect.signature(function).parameters if name != "self"]
            fields: dict[str, Any] = {name: (hints[name], ...) for name in names}
            config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())
            return create_model(function.__name__, __config__=config, **fields)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = _bound(function, *args, **kwargs)
            bound.apply_defaults()
            given = {
                name: list(one) if isinstance(one, Iterator) else one
                for name, one in bound.arguments.items()
                if name != "self"
            }
            _refuse_empty(given, model(), public_name)
            try:
                found = build(model(), given, where=public_name)
            except ConfigError as error:
                show_help(error, public_name)
                raise
            bound.arguments.update({name: getattr(found, name) for name in given})
            try:
                return function(*bound.args, **bound.kwargs)
            except MedsegError as error:
                name_arguments(error, given)
                raise
            except OSError as error:
                if error.errno not in OF_A_PATH:
                    raise
                fix = "Check the path, who may use it, and that the disk is not full."
                raise UsageError(str(error.strerror), where=error.filename, fix=fix) from error

        return call

    return checked
