"""The table of layouts and mistakes names a test for each row, and each is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_names_a_test_that_exists() -> None:
    text = (ROOT / "docs/benchmarks/dataset-mistakes.md").read_text(encoding="utf-8").split("## Not read")[0]
    rows = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| mistake", "| kind"))
    ]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"
