"""Faults of accessibility in a page, found by axe (the extra `peers`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from review.browser.served import SLOW

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


def _axe_faults(page: Any) -> list[str]:
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


def check_file(browser: Any, path: Path, viewport: dict[str, int], scheme: str) -> None:
    """Fail where axe finds a fault in an HTML file, all that is folded up unfolded."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri(), timeout=SLOW)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    faults = _axe_faults(page)
    context.close()
    assert not faults, "\n".join(faults[:20])
