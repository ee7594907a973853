"""Every page is the base page, fetches nothing, and escapes what it is given."""

import base64
import hashlib
import re
from importlib.resources import files

import pytest
from jinja2 import UndefinedError

from medseg.draw.page import render
from medseg.draw.page_parts import with_parts

PARTS = ("base.html", "model.html")  # of pages
TEMPLATES = [file for file in (files("medseg.draw") / "templates").iterdir() if file.name not in PARTS]


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


def test_a_page_of_several_parts_has_contents_that_lead_to_them_and_one_script_that_its_policy_allows():
    page = with_parts(
        "<meta content=\"default-src 'none'; style-src 'unsafe-inline'\"><body><h1>T</h1>"
        '<h2>A &lt;b&gt;</h2><h2 class="bad">B <i>c</i></h2><h2>C</h2></body>'
    )
    assert re.findall(r'<a href="#([\w-]+)">([^<]+)</a>', page) == [
        ("part-1", "A &lt;b&gt;"), ("part-2", "B c"), ("part-3", "C"),
    ]  # fmt: skip
    assert re.findall(r'<h2[^>]*id="([\w-]+)"', page) == ["part-1", "part-2", "part-3"]
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src" in page
    assert "contents" not in with_parts("<body><h1>T</h1><h2>A</h2></body>")
