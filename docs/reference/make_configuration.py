"""Writes configuration.md and model-card.md beside it from the schemas of configurations and of the model card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from medseg.engine.catalog import schema
from medseg.models.card import ModelCard
from medseg.service.node.config import NodeConfig

PAGE = Path(__file__).with_name("configuration.md")
CARD_PAGE = Path(__file__).with_name("model-card.md")
HEAD = """# Keys of a configuration

This page is written by `docs/reference/make_configuration.py` from what medseg checks a configuration against before it
reads any data. `medseg schema train` (or `predict`, `evaluate`, `node`) prints the same as JSON Schema, for editors.
`medseg copy NAME mine.yaml` gives a shipped configuration to start from; `--set a.b=c` changes one key.
"""
CARD_HEAD = """# Keys of a model card

`model.yaml` is everything of a model package but its weights; `medseg models show NAME` prints a card. This
page is written by `docs/reference/make_configuration.py` from the schema a card is checked against when it is loaded.

Cards of format 1, from before medseg's first release, had other names for some keys and are read too.
"""
TITLES = {
    "train": "`medseg train --config`",
    "predict": "`medseg predict --config`, by stage",
    "evaluate": "`medseg evaluate --config`",
}


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for name, title in TITLES.items():
        found = schema(name)
        parts.append(f"## {title}\n")
        parts.extend(section(found, found.get("$defs", {}), ""))
    found = NodeConfig.model_json_schema()
    parts.append("## `medseg serve --config`\n")
    parts.extend(section(found, found.get("$defs", {}), ""))
    return "\n".join(parts)


def card_page() -> str:
    """Return the page of the model card."""
    found = ModelCard.model_json_schema()
    return "\n".join([CARD_HEAD, *section(found, found.get("$defs", {}), "")])


def section(model: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[str]:
    """Give one table for a mapping, then one for each mapping inside of it."""
    definitions = {**definitions, **model.get("$defs", {})}
    inner: dict[str, dict[str, Any]] = {}
    rows = []
    for name, value in model.get("properties", {}).items():
        key = f"{path}{name}"
        target, suffix = below(value, definitions)
        if target is not None:
            inner[key + suffix] = target
        what = value.get("description", "") or (target or {}).get("description", "").split("\n\n")[0]
        shown = "" if target is not None and not suffix else default(value)
        rows.append(f"| `{key}` | {kind(value, definitions)} | {shown} | {cell(what)} |")
    if path:
        yield f"### `{path.rstrip('.')}`\n"
    if rows:
        yield "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows]) + "\n"
    for key, target in inner.items():
        yield from section(target, definitions, f"{key}.")


def below(value: dict[str, Any], definitions: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return the mapping a key holds, and what stands between them: a name or a position."""
    if "$ref" in value:
        return definitions[value["$ref"].rpartition("/")[2]], ""
    if "properties" in value:
        return value, ""
    for option in value.get("anyOf", []):
        if option.get("type") != "null" and (found := below(option, definitions))[0] is not None:
            return found
    for holder, suffix in (("items", "[]"), ("additionalProperties", ".NAME")):
        if isinstance(value.get(holder), dict) and (found := below(value[holder], definitions))[0] is not None:
            return found[0], suffix + found[1]
    return None, ""


def kind(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Say in words what may stand there."""
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(kind(option, definitions) for option in value["anyOf"]))
    if "enum" in value or "const" in value:
        return " or ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    if "$ref" in value or "properties" in value:
        return "keys below"
    if value.get("type") == "array":
        items = value.get("items") or (value.get("prefixItems") or [{}])[0]
        count = value.get("maxItems") if value.get("maxItems") == value.get("minItems") else None
        return f"list of {f'{count} ' if count else ''}{kind(items, definitions)}"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return f"names with {kind(inner, definitions)}" if isinstance(inner, dict) else "keys and values"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(value.get("type", ""), value.get("type", "anything")) + bounds(value)


def bounds(value: dict[str, Any]) -> str:
    """Say between what a number lies."""
    low = value.get("minimum", value.get("exclusiveMinimum"))
    high = value.get("maximum", value.get("exclusiveMaximum"))
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    if low is not None:
        return f", {'at least' if 'minimum' in value else 'more than'} {low:g}"
    return "" if high is None else f", {'at most' if 'maximum' in value else 'less than'} {high:g}"


def default(value: dict[str, Any]) -> str:
    """Return the default as YAML; a key without one must be given."""
    if "default" not in value:
        return "must be given"
    text = yaml.safe_dump(value["default"], default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
    return f"`{text}`"


def cell(text: str) -> str:
    """Keep a text within its cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    CARD_PAGE.write_text(card_page(), encoding="utf-8")
