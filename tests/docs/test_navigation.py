"""Every page of the site is in its navigation, once, and the navigation names no page that is not there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_navigation_once() -> None:
    named = Counter(re.findall(r"([a-z-]+/[\w-]+\.md|index\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert set(named) == pages
    assert set(named.values()) == {1}


def test_no_two_pages_have_one_name_in_the_navigation() -> None:
    lines = re.findall(
        r'^ +- (?:"?([^"\n]+?)"?: )?((?:[a-z-]+/)?[\w-]+\.md)$', (ROOT / "mkdocs.yml").read_text(), re.MULTILINE
    )
    names = Counter(
        name or re.search(r"^# (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE).group(1)
        for name, page in lines
    )
    assert len(lines) > 90
    assert [name for name, count in names.items() if count > 1] == []


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [page.name[:4] for page in (ROOT / "docs/decisions").glob("0*.md")]
    assert len(numbers) == len(set(numbers))
