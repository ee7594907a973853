"""The tables of mistakes name a test for each row, and each is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADS = ("| mistake", "| kind", "| situation")


@pytest.mark.parametrize("page", ["dataset-mistakes.md", "silent-mistakes.md"])
def test_every_row_names_a_test_that_exists(page) -> None:
    text = (ROOT / "docs/benchmarks" / page).read_text(encoding="utf-8").split("## Not read")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(HEADS)]
    assert len(rows) > 30
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
        assert named, row
        for file, test in named:
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{test}"
