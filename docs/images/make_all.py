"""Every image of the documentation: the script that makes it, and the code that it shows.

python docs/images/make_all.py [NAME ...] makes all, or those whose name begins so, and writes down what they show
(a target of the Makefile); --check says which are older than the code they show. An image is as old as the text of
the files listed with it: where one of these changes, the image has to be made, or looked at, again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = HERE / "made.json"


@dataclass(frozen=True)
class Made:
    """Images of one script: their names, and globs of the code that is seen in them."""

    script: str
    names: tuple[str, ...]
    shows: tuple[str, ...]


REVIEW_PAGE = ("medseg/review/page/*.js", "medseg/review/page/*.html", "medseg/review/page/*.css")
IMAGES = (
    Made(
        "docs/images/make.py",
        ("demo-terminal.png", "report.png", "segmented-head.png"),
        (
            "medseg/draw/templates/base.html", "medseg/draw/templates/batch_report.html", "medseg/draw/preview.py",
            "medseg/draw/panes.py", "medseg/draw/overlay.py", "medseg/demo/*.py", "medseg/cli/demo.py",
            "medseg/models/shipped/hippocampus/*.yaml",
        ),
    ),
    Made(
        "docs/images/review_tutorial.py",
        ("review-look.png", "review-outlines.png", "review-correct.png", "review-reject.png", "review-judged.png"),
        REVIEW_PAGE,
    ),
    Made("docs/images/review_page.py", ("review-page.png",), REVIEW_PAGE),
    Made(
        "docs/images/ohif.py",
        ("ohif.png",),
        ("tests/peers/ohif.py", "medseg/io/dicom_results/seg.py", "medseg/io/dicom_results/seg_frames.py"),
    ),
    Made(
        "benchmarks/figures_architectures.py",
        tuple(f"architectures-{name}.png" for name in ("list", "objects", "upsampling", "views", "windows")),
        ("benchmarks/figures_architectures.py", "medseg/models/upsampling.py"),
    ),
)  # fmt: skip


def shown(made: Made) -> str:
    """Hash of the script and of the code that its images show."""
    digest = hashlib.sha256()
    paths = sorted({path for pattern in (made.script, *made.shows) for path in ROOT.glob(pattern)})
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def stale() -> list[str]:
    """Images that are older than the code they show."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    return [name for made in IMAGES for name in made.names if kept.get(name) != shown(made)]


def make(names: list[str]) -> None:
    """Run the scripts of these images, all without names, and write down what they show."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    for made in IMAGES:
        if not names or any(one.startswith(tuple(names)) for one in made.names):
            subprocess.run([sys.executable, ROOT / made.script], check=True)
            kept |= dict.fromkeys(made.names, shown(made))
    KEPT.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Make images, or say which are stale."""
    if "--check" not in sys.argv:
        make(sys.argv[1:])
    elif old := stale():
        sys.exit(f"Older than the code they show: {', '.join(old)}. Run python docs/images/make_all.py.")


if __name__ == "__main__":
    main()
