"""What MkDocs calls for each page: parts made from the sources and benchmark files take the place of a comment.

``<!-- made: NAME -->`` stands for the part; see `PARTS`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import claims
import errors
import verbs


def decisions() -> str:
    """A link to each decision."""
    pages = sorted((Path(__file__).resolve().parents[1] / "decisions").glob("0*.md"))
    titles = [page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in pages]
    return "\n".join(f"- [{title}]({page.name})" for title, page in zip(titles, pages, strict=True))


LESS = 0.3  # of what a word in a benchmark or a decision counts for the search, beside one in a page for users

PARTS: dict[str, Callable[[], str]] = {
    "overview": claims.overview,
    "home": claims.home,
    "errors": errors.page,
    "verbs": verbs.page,
    "decisions": decisions,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put each made part in its place; a name that is none is an error."""
    return re.sub(r"<!-- made: (\w+) -->", lambda found: PARTS[found[1]](), markdown)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Let the search find other pages before benchmarks and decisions, and a figure open in its own size."""
    if page.file.src_uri.startswith(("benchmarks/", "decisions/")):
        page.meta.setdefault("search", {"boost": LESS})
    return re.sub(r'<img [^>]*?src="([^"]+)"[^>]*>', r'<a class="figure" href="\1">\g<0></a>', content)
