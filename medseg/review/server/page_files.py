"""The files of the page: those that are in its package and no others, listed once at the start."""

from __future__ import annotations

from pathlib import Path

INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}
PAGE = Path(__file__).parent.parent / "page"


def page_files(folder: Path = PAGE) -> dict[str, tuple[bytes, str]]:
    """Return content and type of each file, by its address below ``/``."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in TYPES
    }
