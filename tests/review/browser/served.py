"""A reader in front of the review page: the server by its command line, and a headless Chromium without WebGL."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nibabel as nib
import pytest

ALWAYS = ("--no-sandbox", "--disable-dev-shm-usage")
NO_GPU = ("--disable-gpu", "--disable-webgl", "--disable-webgl2")
SLOW = 120_000  # ms after which something is taken to be stuck, also where others use the machine


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A browser, without WebGL unless arguments are given; skips the test where Playwright or Chromium is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=[*ALWAYS, *(arguments or NO_GPU)])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(results: Path, scans: Path, *options: str) -> Iterator[str]:
    """Run `medseg review`; yield the address it prints."""
    command = [
        sys.executable,
        "-m",
        "medseg",
        "review",
        str(results),
        "--scans",
        str(scans),
        "--no-browser",
        "--port",
        "0",
    ]
    server = subprocess.Popen([*command, "--reviewer", "reader", *options], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(60)


@dataclass
class Window:
    """One window of the browser on the review page."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, context: Any, address: str, link: str = "") -> Window:
        """Open the printed address, and a place in it where one is given."""
        page = context.new_page()
        page.set_default_timeout(SLOW)
        window = cls(page, address)
        site = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}/"
        page.on("pageerror", lambda error: window.complaints.append(str(error)))
        page.on("console", lambda line: line.type == "error" and window.complaints.append(line.text))
        page.on(
            "request",
            lambda asked: asked.url.startswith((site, "data:", "blob:")) or window.complaints.append(asked.url),
        )
        page.goto(address)
        if link:
            page.goto(f"{site}#{link}")
        window.ready()
        return window

    def ready(self, case: str = "") -> None:
        """Wait until a case can be worked on."""
        named = f'[data-case="{case}"]' if case else ""
        self.page.wait_for_selector(f'body[data-ready="1"]{named}', timeout=SLOW)

    def go(self, link: str, case: str) -> None:
        """Follow a deep link."""
        self.page.evaluate("(link) => { location.hash = link }", link)
        self.ready(case)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def state(self, name: str) -> str:
        return str(self.page.get_attribute("body", f"data-{name}"))

    def wait(self, **states: str) -> None:
        """Wait until the page says this of itself."""
        self.page.wait_for_selector("body" + "".join(f'[data-{k}="{v}"]' for k, v in states.items()), timeout=SLOW)

    def save(self) -> int:
        """Save by key; return the revision."""
        self.press("s")
        self.wait(dirty="0")
        return int(self.state("revision"))

    def message(self) -> str:
        return str(self.page.inner_text("#message"))

    def says(self, text: str) -> None:
        """Wait until the page says something that holds this text."""
        self.page.locator("#message, #notice").filter(has_text=text).first.wait_for(timeout=SLOW)

    def canvas(self, plane: str) -> dict[str, float]:
        """Where a plane is on the screen."""
        return dict(self.page.locator(f"canvas[data-plane={plane}]").bounding_box())

    def drag(self, *points: tuple[float, float], **mouse: Any) -> None:
        """Press at the first point, move through the others, let go."""
        self.page.mouse.move(*points[0])
        self.page.mouse.down(**mouse)
        for point in points[1:]:
            self.page.mouse.move(*point, steps=5)
        self.page.mouse.up(**mouse)

    def module(self, name: str, code: str, given: Any = None) -> Any:
        """Run code in the page with a module of its own as `m`, and what is given as `given`."""
        load = "await import(new URL(name, document.querySelector('script[type=module]').src))"
        return self.page.evaluate(f"async ([name, given]) => {{ const m = {load}; {code} }}", [name, given])


def newest_labels(results: Path, case: str) -> nib.Nifti1Image:
    """The file of the newest revision of a case."""
    files = sorted((results / "review" / "labels").rglob(f"{case}*.nii.gz"), key=lambda file: file.stat().st_mtime_ns)
    return nib.load(files[-1])


def until(holds: Any, seconds: float = SLOW / 1000) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.05)
