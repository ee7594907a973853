"""What the card of the model says that made the results, as their `run.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json


def model_summary(results: Path) -> Mapping[str, Any] | None:
    """Return the essence of the model's card; None in results of a version that did not keep it."""
    try:
        content = parse_json((results / "run.json").read_text(encoding="utf-8"))
        models = content["models"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return models[0] if isinstance(models, list) and models and isinstance(models[0], dict) else None
