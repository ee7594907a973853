"""The built site, opened from its files: no broken link, a search, no fault that axe finds, nothing wider than a phone.

Needs MkDocs, Playwright with Chromium, and axe (the extra `peers`).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from accessibility import check_file
from page_commands import ROOT
from review.browser.served import SLOW
from test_search_words import LIST

pytestmark = pytest.mark.peers
PAGES = (
    "index.html", "tutorial/first-scan.html", "how-to/segment-a-folder.html", "how-to/faq.html",
    "reference/errors.html", "reference/command-line.html", "reference/python.html",
    "explanation/architectures.html", "benchmarks/index.html",
    "decisions/index.html",
)  # fmt: skip
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="needs MkDocs (pip install 'medseg[docs]')")
    out = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    return out


class Page(HTMLParser):
    """Links and places of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and tag != "use":
                self.links.append(value)
            if name in ("id", "name") and value:
                self.places.add(value)


def test_no_link_is_broken_when_opened_from_files(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 90
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken, "\n".join(sorted(set(broken)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(site: Path, browser: Any, name: str, scheme: str) -> None:
    check_file(browser, site / name, DESKTOP, scheme)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(site: Path, browser: Any, name: str) -> None:
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.goto((site / name).as_uri(), timeout=SLOW)
    wide = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert wide <= PHONE["width"]


@pytest.mark.parametrize("name", PAGES)
def test_the_side_bar_shows_the_pages_of_one_part(site: Path, browser: Any, name: str) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto((site / name).as_uri(), timeout=SLOW)
    links = [link for link in page.locator(".md-sidebar--primary a.md-nav__link").all() if link.is_visible()]
    tabs = page.locator(".md-tabs__link").all_inner_texts()
    context.close()
    assert 0 < len(links) < 60
    assert len(tabs) == 8


def test_the_search_finds_every_word_of_the_list(site: Path, browser: Any) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto((site / "index.html").as_uri(), timeout=SLOW)
    box, missing = page.locator(".md-search__input"), []
    for word in LIST:
        box.fill("")
        box.press("End")  # the theme listens to keys
        page.wait_for_function("!document.querySelector('.md-search-result__item')", timeout=SLOW)
        box.fill(word)
        box.press("End")
        counted = "document.querySelector('.md-search-result__meta').textContent"
        page.wait_for_function(f"/matching document|No matching/.test({counted})", timeout=SLOW)
        shown = " ".join(page.locator(".md-search-result__item").all_inner_texts()).lower()
        if not set(re.split(r"\W+", word.lower())) & set(re.split(r"\W+", shown)):
            missing.append(word)
    context.close()
    assert not missing, missing


# What somebody pastes into the search, and a page that it must lead to.
PASTED = {
    "[2/2] interrupted-copy (interrupted-copy.nii.gz): FAILED: the file is truncated: its compressed data breaks off. "
    "Copy or download the file again; compare its size with the original. [E-input]": "how-to/troubleshoot.html",
    "9 of 18 images of this acquisition are here": "how-to/troubleshoot.html",
    "its slices are unevenly spaced, or slices are missing": "how-to/troubleshoot.html",
    "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 8 GiB total)": "how-to/troubleshoot.html",
    "ModuleNotFoundError: No module named 'medseg'": "how-to/troubleshoot.html",
    "ModuleNotFoundError": "how-to/troubleshoot.html",
    "--fast": "how-to/run-faster.html",
    "--allow-uneven": "how-to/troubleshoot.html",
    "medseg: there is no option -q. `medseg train --help` shows the options. [E-usage]": "reference/errors.html",
}


# What people search for, and the page that comes first.
FIRST = {
    "test-time augmentation": "how-to/run-faster.html",
    "sliding window": "how-to/run-faster.html",
    "batch size": "how-to/train.html",
    "batch_size": "reference/glossary.html",
    "SlidingWindowInferer": "reference/glossary.html",
    "DiceCELoss": "reference/glossary.html",
    "pseudonymization": "reference/glossary.html",
    "fold_all": "how-to/from-nnunet.html",
    "postprocessing largest component": "reference/objects.html",
    "Killed": "how-to/troubleshoot.html",
    "CUDA out of memory": "how-to/troubleshoot.html",
    "no CUDA GPUs found": "how-to/troubleshoot.html",
    "The scan is a 2D image": "how-to/troubleshoot.html",
    "unknown key": "how-to/troubleshoot.html",
    "must be one or more of": "how-to/troubleshoot.html",
    "its name says NIfTI, but it is a text file": "how-to/troubleshoot.html",
    "the file is truncated: its compressed data breaks off": "how-to/troubleshoot.html",
    "the run in this folder was started with another configuration": "how-to/troubleshoot.html",
}


def searched(site: Path, browser: Any, texts: Iterable[str]) -> dict[str, list[str]]:
    """The links that the search shows for each text, first to last."""
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto((site / "index.html").as_uri(), timeout=SLOW)
    box, found = page.locator(".md-search__input"), {}
    for text in texts:
        box.fill("")
        box.press("End")
        page.wait_for_function("!document.querySelector('.md-search-result__item')", timeout=SLOW)
        box.fill(text)
        box.press("End")
        page.wait_for_selector(".md-search-result__item", timeout=SLOW)
        links = page.locator(".md-search-result__link").all()
        found[text] = [str(link.get_attribute("href")) for link in links]
    context.close()
    return found


def test_the_search_takes_messages_and_options_as_they_stand(site: Path, browser: Any) -> None:
    found = searched(site, browser, PASTED)
    missing = {text: found[text] for text, wanted in PASTED.items() if not any(wanted in one for one in found[text])}
    assert not missing, missing


def test_the_search_puts_the_page_first_that_is_about_it(site: Path, browser: Any) -> None:
    found = searched(site, browser, FIRST)
    others = {text: found[text][:2] for text, wanted in FIRST.items() if wanted not in found[text][0]}
    assert not others, others


def test_the_search_finds_without_a_server_and_without_network(site: Path, browser: Any) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri(), timeout=SLOW)
    page.locator(".md-search__input").fill("fine-tuning")
    page.wait_for_selector(".md-search-result__item", timeout=SLOW)
    addresses = [link.get_attribute("href") for link in page.locator(".md-search-result__link").all()]
    context.close()
    assert any(address and "how-to/fine-tune.html" in address for address in addresses)
    assert not [url for url in asked if url.startswith("http")]
