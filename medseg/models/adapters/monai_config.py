"""Reads the configuration of a MONAI bundle as data: nothing in it is imported, built or evaluated.

MONAI's own reader builds whatever class `_target_` names and evaluates every text that begins with ``$`` as Python.
Here a plain reference to another key is followed, ``@key`` or ``@key::part`` (MONAI's older sign is ``#``); any other
expression met on the way is an error that names its key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from medseg.config.safe_json import parse_json
from medseg.config.safe_yaml import read_yaml_text
from medseg.errors import FormatLimitation, ModelError, first_line

REFERENCE = re.compile(r"\$?@([A-Za-z0-9_]+(?:(?:::|#)[A-Za-z0-9_]+)*)")
# The one expression of nearly every bundle, which only moves a network to a device.
TO_DEVICE = re.compile(r"\$\s*@([A-Za-z0-9_]+)\.to\(\s*@?[A-Za-z0-9_'\":]+\s*\)")
FIX = "Write the value there as plain data, or give what it is in a card (--card)."
DEEPEST = 32


class MonaiConfig:
    """A bundle's configuration file.

    - `path`: ``inference.json`` or ``inference.yaml``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = read_mapping(path)

    def get(self, key: str) -> Any:
        """What a top-level key holds, references followed throughout; None where there is no such key."""
        return self.resolve(self.content[key], key) if key in self.content else None

    def follow(self, key: str) -> Any:
        """What a top-level key holds or refers to, left as it is inside; None where there is no such key."""
        return self.follow_value(self.content[key], key) if key in self.content else None

    def follow_value(self, value: Any, key: str, depth: int = 0) -> Any:
        """What a value that stands at `key` is or refers to, left as it is inside."""
        if not isinstance(value, str) or value[:1] not in ("$", "@", "%"):
            return value
        match = REFERENCE.fullmatch(value.strip()) or TO_DEVICE.fullmatch(value.strip())
        if match is None:
            raise self._rejected(key, f"it is the expression {value[:80]!r}, which would have to be run")
        if depth > DEEPEST:
            raise self._rejected(key, "it refers to itself")
        return self.follow_value(self._at(match[1], key), match[1], depth + 1)

    def resolve(self, value: Any, key: str, depth: int = 0) -> Any:
        """Follow every reference inside a value that stands at `key`."""
        if depth > DEEPEST:
            raise self._rejected(key, "it is nested too deeply or refers to itself")
        if isinstance(value, Mapping):
            return {
                name: part if str(name).startswith("_") else self.resolve(part, f"{key}::{name}", depth + 1)
                for name, part in value.items()
            }
        if isinstance(value, list):
            return [self.resolve(part, f"{key}::{number}", depth + 1) for number, part in enumerate(value)]
        followed = self.follow_value(value, key)
        return followed if followed is value else self.resolve(followed, key, depth + 1)

    def _at(self, reference: str, key: str) -> Any:
        found: Any = self.content
        for part in re.split(r"::|#", reference):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise self._rejected(key, f"it refers to '{reference}', which is not there") from error
        return found

    def _rejected(self, key: str, why: str) -> FormatLimitation:
        return FormatLimitation(f"key '{key}': {why}", where=self.path.name, fix=FIX)


def target(component: Any) -> str:
    """Name of the class a component asks for, without its module and without the ``d`` of dictionary transforms."""
    name = str(component.get("_target_", "")) if isinstance(component, Mapping) else ""
    return name.rpartition(".")[2]


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON or YAML file that holds keys and values."""
    try:
        content = parse_json(path.read_text(encoding="utf-8")) if path.suffix == ".json" else read_yaml_text(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ModelError(
            f"cannot be read ({first_line(error)})", where=path, fix="Download the bundle again."
        ) from error
    if not isinstance(content, dict):
        raise ModelError("must hold keys and values", where=path, fix="Download the bundle again.")
    return content
