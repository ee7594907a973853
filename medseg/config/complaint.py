"""What pydantic found wrong with a value, in words for the person who wrote it."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from medseg.errors import did_you_mean

UNKNOWN = "unknown key"
TYPE_ALONE = "a value of type "
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "sequence": "a list",
    "path": "a path",
    "set": "a list",
    "model": "keys and values",
    "dict": "keys and values",
    "none": "null",
}


@dataclass(frozen=True)
class Complaint:
    """The key by its path, what must stand there, what stood there instead, and a fix."""

    path: tuple[int | str, ...]
    what: str
    but: str = ""
    fix: str | None = None

    def about(self, known: int) -> str:
        """Say it of the key, without as many of its parts as are known already."""
        own = list(self.path[known:])
        while own and isinstance(own[-1], int):  # which one of a list it is, the value shows
            own.pop()
        key = ".".join(map(str, own))
        if self.what == UNKNOWN:
            return f"{UNKNOWN} '{key or self.path[-1]}'"
        return f"{key}: {self.what}" if key else self.what


def complaint(model: type[BaseModel], values: Mapping[str, Any], errors: Sequence[Any]) -> Complaint:
    """Put the first of pydantic's errors into words; those of other members of a union count with it."""
    if errors[0]["type"] == "missing":  # a misspelt key is missing too
        errors = sorted(errors, key=lambda one: one["type"] != "extra_forbidden")
    path = _path(model, values, errors[0])
    if isinstance(errors[0].get("input"), list | tuple):  # where a list may stand, what is wrong is inside of it
        paths = [_path(model, values, one) for one in errors]
        deeper = [
            one for one, its in zip(errors, paths, strict=True) if len(its) > len(path) and its[: len(path)] == path
        ]
        if deeper:
            return complaint(model, values, deeper)
    if errors[0]["type"] == "extra_forbidden":
        return _unknown_key(model, path)
    same = [one for one in errors if _path(model, values, one) == path and one["type"] != "extra_forbidden"]
    must = [_must(one) for one in same]
    alternatives = dict.fromkeys(text.removeprefix("must be ") for text in must if text.startswith("must be "))
    if len(alternatives) > 1:
        what = f"must be {' or '.join(alternatives)}"
    else:
        what = (_between(model, path) if same[0]["type"] in _BOUNDS else None) or must[0]
    but = "" if errors[0]["type"] in ("missing", "value_error") else f", not {_shown(errors[0].get('input'))}"
    if errors[0]["type"] == "value_error":
        shown = _shown(errors[0].get("input"))
        return Complaint(path, what, fix=f"It was {shown}." if path and not shown.startswith(TYPE_ALONE) else None)
    return Complaint(path, what, but)


def _shown(value: Any) -> str:
    """A value as it is written, or its type where that takes more than a line."""
    text = repr(value)
    return text if len(text) <= 100 and "\n" not in text else f"{TYPE_ALONE}{type(value).__name__}"


def _path(model: type[BaseModel], values: Any, error: Any) -> tuple[int | str, ...]:
    """Keys and positions of an error, without the members of a union that pydantic puts between them."""
    path: list[int | str] = []
    inner = values
    absent = error["type"] in ("missing", "extra_forbidden")
    for number, part in enumerate(error["loc"]):
        position = isinstance(inner, list | tuple) and isinstance(part, int) and part < len(inner)
        if position or (isinstance(inner, Mapping) and part in inner):
            inner = inner[part]
        elif not (absent and number == len(error["loc"]) - 1) and _field(model, [*path, part]) is None:
            continue
        path.append(part)
    return tuple(path)


def _must(error: Any) -> str:
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind in _BOUNDS:
        return f"must be {_BOUNDS[kind]} {next(iter(context.values())):g}"
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected'].replace(chr(39), '')}"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return f"must have the form {context['pattern']}"
    if kind in ("too_short", "too_long"):
        number = context.get("min_length", context.get("max_length"))
        return f"must hold {'at least' if kind == 'too_short' else 'at most'} {number} values"
    if kind == "is_instance_of" and context["class"] == "Sequence":
        return "must be a list"
    if name := KINDS.get("int" if kind.startswith("int_from") else kind.partition("_")[0]):
        return f"must be {name}"
    return str(error["msg"]).replace("Input should be", "must be")


_BOUNDS = {
    "greater_than_equal": "at least",
    "greater_than": "more than",
    "less_than_equal": "at most",
    "less_than": "less than",
}


def _between(model: type[BaseModel], path: Sequence[int | str]) -> str | None:
    """Both bounds of a number, where it has both."""
    field = _field(model, path)
    bounds: dict[str, float] = {}
    for one in _constraints(field):
        bounds |= {
            name: getattr(one, name) for name in ("ge", "gt", "le", "lt") if getattr(one, name, None) is not None
        }
    low = bounds.get("ge", bounds.get("gt"))
    high = bounds.get("le", bounds.get("lt"))
    if low is None or high is None:
        return None
    if "gt" in bounds or "lt" in bounds:
        below, above = "less than" if "lt" in bounds else "at most", "more than" if "gt" in bounds else "at least"
        return f"must be {above} {low:g} and {below} {high:g}"
    return f"must be between {low:g} and {high:g}"


def _constraints(kind: Any) -> Iterator[Any]:
    yield from getattr(kind, "metadata", ()) or getattr(kind, "__metadata__", ())
    for inner in typing.get_args(getattr(kind, "annotation", kind)):
        if not isinstance(inner, str):
            yield from getattr(inner, "metadata", ()) or ()
            if typing.get_origin(inner) is typing.Annotated:
                yield from _constraints(inner)


def _unknown_key(model: type[BaseModel], path: tuple[int | str, ...]) -> Complaint:
    names = list(
        dict.fromkeys(
            name for one in _models(_field(model, path[:-1]) if len(path) > 1 else model) for name in _names(one)
        )
    )
    return Complaint(path, UNKNOWN, fix=meant(str(path[-1]), names))


def meant(key: str, known: Sequence[str]) -> str | None:
    """Say which of the known keys was probably meant, and which there are."""
    return f"{did_you_mean(key, known)} Known keys there: {', '.join(known)}." if known else None


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _field(model: type[BaseModel], path: Sequence[int | str]) -> Any:
    """What a model says about the value at a path: a field, or an annotation inside of one."""
    inner: Any = model
    for part in path:
        if isinstance(part, int):
            inner = next((arg for arg in _arguments(inner, (list, tuple, set)) if arg is not ...), None)
            continue
        fields = [one.model_fields[part] for one in _models(inner) if part in one.model_fields]
        inner = fields[0] if fields else next(iter(_arguments(inner, (dict,))[1:]), None)
    return inner


def _arguments(kind: Any, origins: tuple[type, ...]) -> tuple[Any, ...]:
    for one in _members(kind):
        origin = typing.get_origin(one)
        if isinstance(origin, type) and issubclass(origin, origins + ((Mapping,) if dict in origins else ())):
            return typing.get_args(one)
    return ()


def _members(kind: Any) -> Iterator[Any]:
    """A kind without what is wrapped around it; of a union, each."""
    kind = getattr(kind, "annotation", kind)
    if typing.get_origin(kind) is typing.Annotated:
        yield from _members(typing.get_args(kind)[0])
    elif typing.get_origin(kind) in (typing.Union, types.UnionType):
        for one in typing.get_args(kind):
            yield from _members(one)
    else:
        yield kind


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    for one in _members(kind):
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one
