"""The review server over a folder of results."""

from __future__ import annotations

import pytest
from review_server import serving


@pytest.fixture
def client(out):
    with serving(out) as client:
        yield client
