"""Tidies a store after a killed process: half a file is deleted, whole labels without an event are set aside."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from medseg.io.files.leftovers import sweep
from medseg.io.files.review_folder import LABELS, REVIEW, UNRECORDED
from medseg.review import verification
from medseg.review.events import EventLog
from medseg.review.label_files import PART

log = logging.getLogger("medseg.review")


def leftovers(trail: EventLog, folder: Path) -> tuple[str, ...]:
    """Return the files of saves that were stopped before they were acknowledged, or are under way just now."""
    known = verification.recorded(trail.events())
    names = verification.unrecorded(folder, known)
    return tuple(name for name in names if verification.is_of_a_save(folder / name, known))


def tidy(trail: EventLog, folder: Path, older_than: float) -> None:
    """Delete files that a killed process left half written, and set aside whole ones whose event is not there.

    These may be all that is left of somebody's work, where the trail was restored from an older backup. Files that
    were changed in the last `older_than` seconds stay.
    """
    labels = folder / LABELS
    sweep(labels, older_than=older_than)
    for path in [*labels.glob(f"{PART}*"), *(folder / name for name in leftovers(trail, folder))]:
        with contextlib.suppress(FileNotFoundError):  # of a save just done, or deleted by another process
            if time.time() - path.stat().st_mtime < older_than:
                continue
            if path.name.startswith(PART):
                path.unlink()
                continue
            aside = folder / UNRECORDED
            aside.mkdir(exist_ok=True)
            path.rename(aside / path.name)
            log.warning("%s: no event names these labels; they were moved to %s", path.name, f"{REVIEW}/{UNRECORDED}")
