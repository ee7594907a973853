"""Every page is the base page, fetches nothing, and escapes what it is given."""

import re
from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from medseg.draw.page import render

TEMPLATES = [file for file in (files("medseg.draw") / "templates").iterdir() if file.name != "base.html"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_a_page_extends_the_base_and_names_no_other_site(template):
    text = template.read_text(encoding="utf-8")
    assert text.startswith('{% extends "base.html" %}')
    assert not re.search(r"://|<script|<link|@import|\| *safe", text)


def test_values_are_escaped_and_missing_ones_are_errors():
    page = render("inspect.html", title="<b>x", valid=0, total=0, studies={}, rest=[])
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
    assert "default-src 'none'" in page
    with pytest.raises(UndefinedError):
        render("inspect.html", title="x")
