"""Reads YAML into pydantic models, with `--set a.b=c` on top and errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from medseg.errors import ConfigError, UsageError

__all__ = ["apply_overrides", "build", "merged", "read_yaml"]

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping with the safe loader: data only, never code.

    Raises
    ------
    ConfigError
        When the file cannot be read or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read ({error})", where=path) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark else ""
        raise ConfigError(f"is not valid YAML{line}", where=path, fix="Mend the line; indent with spaces.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError("must hold keys and values", where=path)
    return content


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings joined key by key, those inside them too; of other values, lists among them, the second's."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of the values with each ``a.b=c`` applied; ``c`` is read as YAML.

    Raises
    ------
    UsageError
        When an override is not of that form or walks into something that is not a mapping.
    """
    result = _copy(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            raise UsageError(
                f"--set {override}: not of the form a.b=c",
                fix="Write for instance --set segment.overlap=0.25",
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {override}: the value is not YAML") from error
        inner: dict[str, Any] = result
        for part in parts[:-1]:
            following = inner.setdefault(part, {})
            if not isinstance(following, dict):
                raise UsageError(f"--set {override}: '{part}' is a value and has no keys below it")
            inner = following
        inner[parts[-1]] = value
    return result


def build(model: type[Model], values: Mapping[str, Any], *, where: object = None) -> Model:
    """Validate values into a model.

    Raises
    ------
    ConfigError
        Naming the first wrong key by its whole path, what is wrong with it, and the keys there are.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        if first["type"] == "extra_forbidden":
            what, fix = f"unknown key '{key}'", _known_keys(model, first["loc"])
        else:
            what, fix = f"{key}: {first['msg'].removeprefix('Value error, ')}", f"It was {first.get('input')!r}."
        raise ConfigError(what, where=where, fix=fix) from error


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """What could have been meant where an unknown key stands."""
    inner: Any = model
    for part in location[:-1]:
        field = getattr(inner, "model_fields", {}).get(part)
        inner = getattr(field, "annotation", None)
    fields = getattr(inner, "model_fields", None)
    return f"Known keys there: {', '.join(fields)}." if fields else None


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in values.items()}
