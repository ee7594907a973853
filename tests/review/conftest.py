"""A folder of results and its review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from reviewed_results import make_results

from medseg.review.opening import open_store
from medseg.review.store import Store


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_results(tmp_path)


@pytest.fixture
def store(out: Path) -> Iterator[Store]:
    with open_store(out, create=True) as opened:
        yield opened
