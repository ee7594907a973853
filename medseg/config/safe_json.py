"""The one reader of JSON: whatever the text holds, it is read or it is a `ValueError`."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        When it is none, or nested deeper than Python follows; also `json.JSONDecodeError` and `UnicodeDecodeError`.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
