"""The README is short, has one picture, and its badges say what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib

from page_commands import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_it_is_short_and_has_one_picture() -> None:
    assert len(README.splitlines()) < 120
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert [one for one in pictures if "img.shields.io" not in one] == ["docs/images/report.png"]


def test_the_badges_are_true() -> None:
    versions = [one.rpartition(" ")[2] for one in PROJECT["classifiers"] if "Python ::" in one]
    assert f"![Python {', '.join(versions)}]" in README
    assert f"badge/Python-{'_%7C_'.join(versions)}-blue" in README
    assert PROJECT["license"] == "Apache-2.0"
    assert "badge/license-Apache--2.0-blue" in README
    assert README.count("img.shields.io") == 3


def test_every_file_it_links_to_is_there() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / link).exists(), link
