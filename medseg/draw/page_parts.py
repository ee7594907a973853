"""What every page gets when it is filled: a table of contents, tables that sort, and keys to go through its parts."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

FEWEST = 2  # parts that are worth a table of contents
KEYS = '<span class="soft keys">n, p: next and previous part; a heading of a table sorts it</span>'
HEADING = re.compile(r"<h2((?: class=\"[\w ]+\")?)>(.*?)</h2>", re.DOTALL)
POLICY = "default-src 'none';"


def with_parts(page: str) -> str:
    """Number the headings of a filled page, list them below its title, and add the script, allowed by its hash."""
    listed: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        place = f"part-{len(listed) + 1}"
        shown = re.sub(r"<[^>]+>", "", found[2]).strip()
        listed.append(f'<a href="#{place}">{shown}</a>')
        return f'<h2{found[1]} id="{place}">{found[2]}</h2>'

    page = HEADING.sub(numbered, page)
    if len(listed) >= FEWEST:
        contents = f'<nav class="contents" aria-label="Contents">{" ".join(listed)}{KEYS}</nav>'
        page = page.replace("</h1>", f"</h1>\n{contents}", 1)
    script, digest = _script()
    page = page.replace(POLICY, f"{POLICY} script-src 'sha256-{digest}';", 1)
    return page.replace("</body>", f"<script>{script}</script>\n</body>", 1)


@cache
def _script() -> tuple[str, str]:
    """The script of all pages, and its hash as a policy names it."""
    script = (files("medseg.draw") / "page.js").read_text(encoding="utf-8")
    return script, base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
