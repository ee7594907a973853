"""Where a review lies in a folder of results: labels that people saved, which no search takes for scans or results."""

from __future__ import annotations

from pathlib import Path

REVIEW, DATABASE = "review", "review.sqlite"
LABELS = "labels"


def is_review(folder: Path) -> bool:
    """Whether a folder is that of a review."""
    return (folder / DATABASE).is_file()
