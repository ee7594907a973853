"""What a default installation brings, and under which licenses."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
made = runpy.run_path(str(ROOT / "docs" / "reference" / "make_third_party.py"))


def test_the_page_is_what_is_installed():
    assert made["page"]() == (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8"), (
        "Run: python docs/reference/make_third_party.py"
    )


def test_nothing_under_the_gpl():
    packages = made["packages"]()
    names = {package.name for package in packages}
    assert {"torch", "pydicom", "imagecodecs", "starlette"} <= names  # required, and required by what is required
    assert "pylibjpeg-libjpeg" not in names
    licenses = {package.name: package.license for package in packages}
    licenses |= {library: made["CARRIED"][library] for package in packages for library in package.libraries}
    assert [name for name, license in licenses.items() if made["is_gpl"](license)] == []


@pytest.mark.parametrize(
    ("license", "expected"),
    [
        ("GPL-3.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("MIT AND GPL-2.0-or-later", True),
        ("FTL OR GPL-2.0-or-later", False),
        ("LGPL-3.0-or-later", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("Apache-2.0", False),
    ],
)
def test_which_licenses_count_as_gpl(license, expected):
    assert made["is_gpl"](license) is expected
