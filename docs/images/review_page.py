"""Makes the image of the review page: the demonstration's results, a pen at work.

Needs Chromium and Playwright (the extra `peers`).

Usage: python docs/images/review_page.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from review.browser.served import Window, chromium, serving  # noqa: E402

from medseg.demo.scans import lay_out  # noqa: E402
from medseg.engine.predict import predict  # noqa: E402

MODEL = "hippocampus"
VIEW = {"width": 1280, "height": 720}


def main() -> None:
    """Segment the demonstration's scans, open the page, draw a stroke, and photograph it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out(folder / "scans")
        predict(folder / "scans", MODEL, folder / "results")
        with serving(folder / "results", folder / "scans") as address, chromium() as browser:
            window = Window.open(browser.new_context(viewport=VIEW, color_scheme="dark"), address)
            window.press("4")
            box = window.canvas("axial")
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            window.drag((x - 60, y - 165), (x - 10, y - 170), (x + 30, y - 160))
            window.page.screenshot(path=HERE / "review-page.png")


if __name__ == "__main__":
    main()
