"""The first command that is suggested works, or it is said what it needs."""

import pytest

from medseg.cli import greeting


@pytest.mark.parametrize("is_there", [True, False])
def test_what_the_demonstration_needs_is_said_where_it_is_not_there(monkeypatch, is_there):
    monkeypatch.setattr(greeting, "find_spec", lambda name: object() if is_there else None)
    text = greeting.greeting()
    assert ("pip install nilearn" in text) != is_there
    assert "medseg review demo" in text
    assert "{" not in text
