"""Tables for docs/benchmarks, written by the scripts that measured them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def table(columns: Sequence[str], rows: Mapping[str, Sequence[object]]) -> str:
    """A table with the rows' names in its first column."""
    lines = ["| " + " | ".join(["", *columns]) + " |", "| --- " * (len(columns) + 1) + "|"]
    lines += ["| " + " | ".join([name, *map(str, values)]) + " |" for name, values in rows.items()]
    return "\n".join(lines)


def machine() -> str:
    """The CPU and the fastest instruction set that networks may use; figures of another one are not comparable."""
    from medseg.cpu_features import cpu_description

    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    held = f" (held to it by ONEDNN_MAX_CPU_ISA={limit})" if limit else ""
    return cpu_description() + held


def load() -> str:
    """How busy the machine was with whatever else ran on it; figures of time beside other work are worse than alone."""
    return f"The machine's load average was {os.getloadavg()[0]:.0f} at the end, the measured work included."


def write(path: Path, title: str, paragraphs: Sequence[str]) -> None:
    """Write a page, the machine below what was measured on it."""
    content = "\n\n".join([f"# {title}", *paragraphs, f"Measured on: {machine()}."])
    path.write_text(content + "\n", encoding="utf-8")
