"""Every picture of the documentation is one that `make pictures` makes, and is not older than what it shows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from page_commands import ROOT

sys.path.insert(0, str(ROOT / "docs" / "images"))

import make_all


def test_every_picture_is_made_by_a_script_and_shown_by_a_page() -> None:
    listed = [name for made in make_all.IMAGES for name in made.names]
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs" / "images").glob("*.png"))
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    seen = set(
        re.findall(
            r"!\[[^\]]*\]\([\w./]*images/([\w-]+\.png)\)", " ".join(page.read_text(encoding="utf-8") for page in pages)
        )
    )
    assert seen == set(listed)


def test_what_each_shows_is_there() -> None:
    for made in make_all.IMAGES:
        for pattern in (made.script, *made.shows):
            assert any(ROOT.glob(pattern)), pattern


def test_a_change_of_what_a_picture_shows_makes_it_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_all, "KEPT", tmp_path / "made.json")
    listed = {name: make_all.shown(made) for made in make_all.IMAGES for name in made.names}
    make_all.KEPT.write_text(json.dumps(listed))
    assert make_all.stale() == []
    true = make_all.shown
    monkeypatch.setattr(make_all, "shown", lambda made: "changed" if made is make_all.IMAGES[1] else true(made))
    assert make_all.stale() == list(make_all.IMAGES[1].names)


@pytest.mark.peers
def test_no_picture_is_older_than_the_code_it_shows() -> None:
    """Beside the other programs, because making them again needs a browser."""
    assert not make_all.stale(), "run make pictures"
