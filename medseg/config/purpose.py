"""What a configuration is for, by its keys, so that one for something else is refused in those words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from medseg.errors import ConfigError

Purpose = Literal["training", "segmentation", "evaluation", "a comparison of architectures"]
# Keys that only a configuration of this kind has; a test holds them to the schemas.
KEYS: dict[Purpose, frozenset[str]] = {
    "training": frozenset(
        {"augment", "border_mm", "ema_decay", "epochs", "input", "iterations_per_epoch", "loss", "network", "optimizer"}
        | {"sampling", "split"}
    ),
    "segmentation": frozenset({"discover", "read", "segment", "refine", "measure", "check", "save", "preview"}),
    "evaluation": frozenset({"boundary_width_mm", "lesions", "object_iou", "regions", "tolerances_mm"}),
    "a comparison of architectures": frozenset({"architectures", "claims", "train"}),
}


def check_purpose(values: Mapping[str, Any], wanted: Purpose, *, name: str | Path) -> None:
    """Refuse a configuration whose keys are all those of another purpose."""
    if KEYS[wanted] & values.keys():
        return
    other = next((purpose for purpose, keys in KEYS.items() if keys & values.keys()), None)
    if other is not None:
        raise ConfigError(
            f"this is a configuration for {other}, not for {wanted}",
            where=f"--config {name}",
            fix="`medseg list` shows which configurations there are, and what each is for.",
        )
