"""Tables for docs/benchmarks, written by the scripts that measured them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def table(columns: Sequence[str], rows: Mapping[str, Sequence[object]]) -> str:
    """A table with the rows' names in its first column."""
    lines = ["| " + " | ".join(["", *columns]) + " |", "| --- " * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([name, *map(str, values)]) + " |" for name, values in rows.items()]
    return "\n".join(lines)


def write(path: Path, title: str, paragraphs: Sequence[str]) -> None:
    path.write_text(f"# {title}\n\n" + "\n\n".join(paragraphs) + "\n", encoding="utf-8")
