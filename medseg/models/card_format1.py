"""Model cards of format 1, which had other names for some of their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Key of format 1, wherever in the card it stands -> key of format 2.
KEYS = {
    "licence": "license",
    "normalisation": "normalization",
    "normalise_after_resampling": "normalize_after_resampling",
    "first_pass": "low_resolution_stage",
    "doubt": "uncertainty",
    "border_entropy": "boundary_entropy",
    "members": "ensemble_members",
}
# Key of format 2 and value of format 1 -> value of format 2.
VALUES = {("aligned", "centres"): "centers", ("output", "scores"): "logits", ("interpolated", "scores"): "logits"}
# Below these the keys are a user's or a network's own, not the card's.
FREE = {"arguments", "options", "software", "dice", "volume_range_ml", "boundary_entropy", "dice_drop", "files"}


def upgrade(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card of format 1 as one of format 2."""
    return {**_renamed(card), "format_version": 2}


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for old, content in value.items():
        key = str(KEYS.get(old, old))
        if isinstance(content, str):
            content = VALUES.get((key, content), content)
        found[key] = content if key in FREE else _renamed(content)
    return found
