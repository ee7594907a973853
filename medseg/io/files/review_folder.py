"""Where a review lies in a folder of results: labels that people saved, which no search takes for scans or results."""

from __future__ import annotations

from pathlib import Path

REVIEW, DATABASE = "review", "review.sqlite"
LABELS = "labels"
UNRECORDED = "unrecorded"  # whole labels that no event names


def is_review(folder: Path) -> bool:
    """Whether a folder is that of a review."""
    return (folder / DATABASE).is_file()


def has_lost_its_trail(folder: Path) -> bool:
    """Whether labels that people saved are there, and the database, which is made before any, is gone or empty."""
    database = folder / DATABASE
    if database.exists() and database.stat().st_size:
        return False
    return any(not path.name.startswith(".") for path in (folder / LABELS).glob("*.nii.gz"))
