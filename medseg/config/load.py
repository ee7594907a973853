"""Reads YAML into pydantic models, with `--set a.b=c` on top and errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from medseg.config.complaint import UNKNOWN, Complaint, complaint, meant
from medseg.config.safe_yaml import YamlRefused, parse_yaml, read_yaml_text
from medseg.errors import ConfigError, UsageError, did_you_mean, first_line

Model = TypeVar("Model", bound=BaseModel)


class _Overridden(dict[str, Any]):
    """A mapping that knows which of its keys `--set` gave, and in which words."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(
            {key: _Overridden(value) if isinstance(value, Mapping) else value for key, value in values.items()}
        )
        self.given: dict[str, str] = dict(getattr(values, "given", {}))


yaml.SafeDumper.add_representer(_Overridden, yaml.SafeDumper.represent_dict)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file that holds one YAML mapping; see `medseg.config.safe_yaml`.

    Raises `ConfigError` when the file cannot be read or is not a mapping.
    """
    try:
        content = read_yaml_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the file cannot be read ({first_line(error)})",
            where=path,
            fix="Check its path, and that it is a text file.",
        ) from error
    except YamlRefused as error:
        raise ConfigError(f"the file {error.why}", where=path, fix=error.fix) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark else ""
        raise ConfigError(f"the file is not valid YAML{line}", where=path, fix="Indent with spaces.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError("the file must hold keys and values", where=path, fix="Write one KEY: VALUE a line.")
    return content


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings joined key by key, nested ones too; of other values, lists among them, the second's."""
    result = _Overridden(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    result.given |= getattr(above, "given", {})
    return result


def without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the keys that hold null, so that they get their defaults."""
    result = _Overridden(values)
    for key in [key for key, value in values.items() if value is None]:
        del result[key]
    return result


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of the values with each ``a.b=c`` applied; ``c`` is read as YAML.

    Raises `UsageError` when an override is not of that form or leads through something that is not a mapping.
    """
    result = _Overridden(values)
    for override in overrides:
        where = f"--set {override}"
        key, equals, text = override.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            raise UsageError("must be of the form a.b=c", where=where, fix="Write for instance segment.overlap=0.25.")
        try:
            value = parse_yaml(text)
        except YamlRefused as error:
            raise UsageError(f"the value {error.why}", where=where[:200], fix=error.fix) from error
        except yaml.YAMLError as error:
            raise UsageError(
                "the value is not valid YAML", where=where, fix="Put a text in quotes: KEY='TEXT'."
            ) from error
        inner = result
        for part in parts[:-1]:
            following = inner.setdefault(part, _Overridden({}))
            if not isinstance(following, _Overridden):
                raise UsageError(
                    f"'{part}' is a value and has no keys below it",
                    where=where,
                    fix="Set the value itself, or write only one of the two.",
                )
            inner = following
        inner[parts[-1]] = _Overridden(value) if isinstance(value, Mapping) else value
        inner.given[parts[-1]] = override
    return result


def build(model: type[Model], values: Mapping[str, Any], *, where: object = None) -> Model:
    """Validate values into a model.

    Raises `ConfigError`, naming the first wrong key by its whole path or the `--set` that gave it, what must stand
    there, and for an unknown key the one that was probably meant.
    """
    try:
        return model.model_validate(_plain(values))
    except ValidationError as error:
        raise _first(model, values, error.errors(), where) from error


def under(values: Mapping[str, Any], key: str, *, where: object = None) -> Mapping[str, Any]:
    """Return the keys and values under a key, none where it is absent or null; `ConfigError` for anything else."""
    found = values.get(key)
    if found is None:
        return {}
    if isinstance(found, Mapping):
        return found
    override, _ = _override(values, [key])
    if override:
        raise ConfigError("must be keys and values", where=f"--set {override}", fix=f"Write --set {key}.NAME=VALUE.")
    raise ConfigError(
        f"{key}: must be keys and values, not {found!r}", where=where, fix=f"Write {key}: {{NAME: VALUE}}."
    )


def unknown_key(values: Mapping[str, Any], key: str, known: Sequence[str], *, where: object = None) -> ConfigError:
    """Return the error for a key that is not among those known."""
    override, _ = _override(values, [key])
    return ConfigError(f"{UNKNOWN} '{key}'", where=f"--set {override}" if override else where, fix=meant(key, known))


def unknown_value(
    values: Mapping[str, Any], path: Sequence[str], known: Sequence[str], *, where: object
) -> ConfigError:
    """Return the error for a name, by the path of its key, that is not among those known."""
    found: Any = values
    for key in path:
        found = found[key]
    override, named = _override(values, path)
    what = Complaint(tuple(path), f"there is no '{found}'").about(named if override else 0)
    fix = f"{did_you_mean(str(found), known)} Known: {', '.join(known)}."
    return ConfigError(what, where=f"--set {override}" if override else where, fix=fix)


def _first(model: type[BaseModel], values: Mapping[str, Any], errors: Sequence[Any], where: object) -> ConfigError:
    found = complaint(model, values, errors)
    override, known = _override(values, found.path)
    if override:
        return ConfigError(found.about(known), where=f"--set {override}", fix=found.fix)
    return ConfigError(found.about(0) + found.but, where=where, fix=found.fix)


def _override(values: Any, path: Sequence[int | str]) -> tuple[str | None, int]:
    """The `--set` that gave what lies at a path, and how many parts of the path it names."""
    for number, key in enumerate(path, 1):
        if override := getattr(values, "given", {}).get(key):
            return str(override), number
        values = values.get(key) if isinstance(values, Mapping) else None
    # A mapping that holds nothing else was made by the `--set` of a key in it.
    inner = getattr(values, "given", {})
    return (next(iter(inner.values())), len(path)) if inner and set(inner) == set(values) else (None, 0)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _plain(value) if isinstance(value, Mapping) else value for key, value in values.items()}
