"""Model cards of format 1, which had other names for some of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["upgrade"]

# Key of format 1, wherever in the card it stands -> key of format 2.
KEYS = {
    "licence": "license",
    "normalisation": "normalization",
    "normalise_after_resampling": "normalize_after_resampling",
    "first_pass": "low_resolution_stage",
    "doubt": "uncertainty",
    "border_entropy": "boundary_entropy",
}
VALUES = {("aligned", "centres"): "centers"}
# Below these the keys are a user's or a network's own, not the card's.
FREE = {"arguments", "options", "software", "dice", "volume_range_ml"}


def upgrade(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card of format 1 as one of format 2; the values stay as they are."""
    return {**_renamed(card), "format_version": 2}


def _renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for old, content in value.items():
            key = str(KEYS.get(old, old))
            if isinstance(content, str):
                found[key] = VALUES.get((key, content), content)
            else:
                found[key] = content if key in FREE else _renamed(content)
        return found
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return value
