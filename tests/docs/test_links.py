"""Every link between the pages leads to a file that is there, and to a heading that the page has."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from pathlib import Path

import pytest
from page_commands import PAGES, ROOT

sys.path.insert(0, str(ROOT / "docs" / "making"))

import hooks

LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def text_of(page: Path) -> str:
    """A page as the site has it, without code."""
    whole = hooks.on_page_markdown(page.read_text(encoding="utf-8"))
    return re.sub(r"^\s*```.*?^\s*```$", "", whole, flags=re.MULTILINE | re.DOTALL)


@cache
def places(page: Path) -> set[str]:
    """What the headings of a page are called in a link."""
    return {slug(line) for line in re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)}


def slug(heading: str) -> str:
    """As Python-Markdown makes it."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    plain = unicodedata.normalize("NFKD", shown).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(re.sub(r"`[^`]*`", "", text_of(page))):
        name, _, place = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.relative_to(ROOT)}: {link}: there is no such file"
        if place and target.suffix == ".md":
            assert place in places(target), f"{page.relative_to(ROOT)}: {link}: the page has no such heading"
