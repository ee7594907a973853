"""The one reader of JSON: whatever the text holds, it is read or it is a `ValueError`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from medseg.errors import InputError, first_line

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


def read_json_object(file: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; whatever else it holds is an `InputError` with the file and the line."""
    try:
        content = parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read as JSON ({first_line(error)})",
            where=file,
            fix="Correct it, or remove it if it says nothing that is needed.",
        ) from error
    if not isinstance(content, dict):
        raise InputError("is not a JSON object", where=file, fix="Write keys and values between braces.")
    return content
