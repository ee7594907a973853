"""Makes the images of the README and the tutorial from runs of the demonstration and a whole head; needs Chromium.

Usage: python docs/images/make.py
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import nilearn.datasets

from medseg.demo.scans import TEMPLATE

HERE = Path(__file__).resolve().parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #16181d; color: #e6e8ec; }}
pre {{ margin: 0; padding: 18px 22px; font: 14px/1.5 "DejaVu Sans Mono", monospace; }}
b {{ color: #86c1e9; }}
</style><pre><b>$ make demo</b>
{text}</pre>"""


def main() -> None:
    """Run the demonstration in a folder that goes away, and take the two images."""
    browser = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"none of {', '.join(CHROMIUM)} is installed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        medseg = Path(sys.executable).with_name("medseg")
        done = subprocess.run([medseg, "demo", "--out", "demo"], cwd=folder, capture_output=True, text=True, check=True)
        text = wrapped((done.stderr + done.stdout).replace(f"{folder.resolve()}/", ""))
        page = folder / "terminal.html"
        page.write_text(TERMINAL.format(text=html.escape(text)), encoding="utf-8")
        lines = text.count("\n") + 1
        shoot(browser, page, HERE / "demo-terminal.png", 1240, 60 + 21 * lines)
        shoot(browser, folder / "demo" / "report.html", HERE / "report.png", 1040, 1180)
        head = Path(nilearn.datasets.__file__).parent / "data" / TEMPLATE
        subprocess.run([medseg, "predict", head, "--model", "hippocampus", "--out", "head"], cwd=folder, check=True)
        (preview,) = folder.glob("head/*/preview.png")
        shutil.copy(preview, HERE / "segmented-head.png")


def wrapped(text: str) -> str:
    """Lines no longer than the image is wide."""
    lines = [
        textwrap.wrap(line, 138, subsequent_indent=" " * 6, drop_whitespace=False) or [""] for line in text.split("\n")
    ]
    return "\n".join(part for parts in lines for part in parts)


def shoot(browser: str, page: Path, image: Path, width: int, height: int) -> None:
    """Photograph a page."""
    with tempfile.TemporaryDirectory() as profile:
        options = (f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={image}")
        subprocess.run([browser, *QUIET, *options, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    main()
