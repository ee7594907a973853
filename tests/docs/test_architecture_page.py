"""The architecture page lists the packages in the order that the linter holds them to."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_packages_is_in_the_order_of_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one["id"] == "layers"]
    height = {name: at for at, layer in enumerate(reversed(layers)) for name in layer.split(" : ")}
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Packages")[2].partition("\n## ")[0]
    rows = [re.findall(r"`(\w+)`", row) for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)]
    named = [name for row in rows for name in row]
    assert set(named) == set(height) - {"__main__"}
    for above, below in pairwise(rows):
        assert max(height[name] for name in above) <= min(height[name] for name in below)
