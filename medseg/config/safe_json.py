"""The one reader of JSON: whatever the text holds, it is read or it is a `ValueError`."""

from __future__ import annotations

import json
import re
from typing import Any

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        When it is none, nested deeper than Python follows, or holds half a character, which no file can be written with
        (`UnicodeEncodeError`); also `json.JSONDecodeError` and `UnicodeDecodeError`.
    """
    try:
        if not isinstance(text, str):
            text = bytes(text).decode(json.detect_encoding(text))  # strictly, which json itself does not
        found = json.loads(text)
        if SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found
