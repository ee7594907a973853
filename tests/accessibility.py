"""Faults of accessibility in a page, found by axe (the extra `peers`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


def axe_faults(page: Any) -> list[str]:
    """What axe finds in an open page, a line each; skips the test where axe is not installed."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("needs axe-playwright-python")
    page.add_script_tag(path=str(Path(found.origin).parent / "axe.min.js"))
    result = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['html'][:160]}"
        for one in result["violations"]
        for node in one["nodes"]
    ]
