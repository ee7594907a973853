"""Makes the images of the tutorial on reviewing: every step of it, taken in a browser.

Needs Chromium and Playwright (the extra `peers`).

Usage: python docs/images/review_tutorial.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from review.browser.served import Window, chromium, serving  # noqa: E402

from medseg.demo.scans import lay_out  # noqa: E402
from medseg.engine.predict import predict  # noqa: E402

VIEW = {"width": 1280, "height": 720}


def stroke(window: Window) -> None:
    """A pen stroke beside the middle of the axial plane, in the first class."""
    window.press("c", "4")
    box = window.canvas("axial")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    window.drag((x - 60, y - 165), (x - 10, y - 170), (x + 30, y - 160))


def follow_the_tutorial(window: Window, photograph: Any) -> None:
    """Look, correct, save and accept, reject, and see what is left; a screenshot of each."""
    photograph("look")
    window.press("o", "1")
    photograph("outlines")
    window.press("o", "0")
    stroke(window)
    photograph("correct")
    first = window.state("case")
    window.press("a")
    window.page.wait_for_selector(f'body[data-ready="1"]:not([data-case="{first}"])')
    window.press("x")
    photograph("reject")
    window.press("4")
    window.says("cases are judged")
    photograph("judged")


def main() -> None:
    """Segment the demonstration's scans and go through the tutorial with them."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out(folder / "scans")
        predict(folder / "scans", "hippocampus", folder / "results")
        with serving(folder / "results", folder / "scans") as address, chromium() as browser:
            window = Window.open(browser.new_context(viewport=VIEW, color_scheme="dark"), address)
            follow_the_tutorial(window, lambda name: window.page.screenshot(path=HERE / f"review-{name}.png"))


if __name__ == "__main__":
    main()
