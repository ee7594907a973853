"""A card for somebody else's model: from its files, completed and overruled by the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseg.config.load import build, merged, read_yaml, unknown_key
from medseg.errors import ConfigError, UsageError
from medseg.models.card import ModelCard
from medseg.types.labels import PALETTE

if TYPE_CHECKING:
    import torch


EXAMPLE = "docs/how-to/import-models.md has one to copy"


@dataclass(frozen=True, eq=False)
class Foreign:
    """A model as found.

    - `card`: from its files, as content of a model card.
    - `kind`: what it is, for messages and the card.
    - `whole`: content of a file that is the network and its weights.
    """

    card: Mapping[str, Any]
    kind: str
    weights: Mapping[str, torch.Tensor] | None = None
    whole: bytes | None = None


def card_beside(path: Path) -> Path | None:
    """The YAML file of the same name in the same folder, where there is one."""
    return next((p for ending in (".yaml", ".yml") if (p := path.with_suffix(ending)).is_file()), None)


def read_facts(path: Path | None) -> dict[str, Any]:
    """Read what the user states about a model: any part of a model card."""
    if path is None:
        return {}
    if not path.is_file():
        raise UsageError("there is no such card", where=path, fix="Check the path.")
    facts = dict(read_yaml(path))
    if unknown := sorted(set(facts) - set(ModelCard.model_fields)):
        raise unknown_key(facts, unknown[0], list(ModelCard.model_fields), where=path)
    return facts


def complete(found: Foreign, facts: Mapping[str, Any], name: str, file: str) -> ModelCard:
    """Make the card."""
    unstated = {"data": "not stated", "license": "not stated", "cases": 0, "command": found.kind, "seed": None}
    content = merged(found.card, facts)
    content |= {"name": name, "weights_sha256": "0" * 64, "training": {**unstated, **content.get("training", {})}}
    content.setdefault("title", f"{file}, {found.kind}")
    if missing := _missing(content):
        raise UsageError(
            f"the card lacks {', '.join(missing)}, which {found.kind} files do not hold",
            where=file,
            fix=f"Write it into a YAML file and give that as --card; {EXAMPLE}.",
        )
    try:
        return build(ModelCard, content)
    except ConfigError as error:
        fix = f"{error.fix or ''} Correct it in --card; {EXAMPLE}."
        raise UsageError(error.what, where=file, fix=fix) from error


def class_cards(classes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Classes of a card from names by label."""
    return [
        {"value": value, "name": name, "color": PALETTE[(value - 1) % len(PALETTE)]} for value, name in classes.items()
    ]


def _missing(content: Mapping[str, Any]) -> list[str]:
    """Keys that decide what the network is shown; none of them has a default that could be right by itself."""
    given = content.get("input")
    if not isinstance(given, Mapping):
        return ["network", "classes", "input"] if "network" not in content else ["input"]
    missing = [key for key in ("network", "classes") if key not in content]
    missing += [f"input.{key}" for key in ("channels", "patch", "orientation", "spacing") if key not in given]
    channels = given.get("channels")
    for number, channel in enumerate(channels if isinstance(channels, Sequence) else ()):
        if isinstance(channel, Mapping) and "normalization" not in channel:
            missing.append(f"input.channels.{number}.normalization")
    return missing
