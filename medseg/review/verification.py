"""Walks the audit trail and every file it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.io.files.review_folder import LABELS
from medseg.review.events import EventLog
from medseg.review.label_files import checked
from medseg.review.review_case import SAVED


@dataclass(frozen=True)
class Finding:
    """Something in a store that is not as it was left."""

    where: str  # event or file
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def verify(log: EventLog, folder: Path, expect: str | None = None) -> Iterator[Finding]:
    """Yield every event that is not as it was written, and every file that is not as it was saved."""
    broken = log.broken_at()
    if broken is not None:
        yield Finding(f"event {broken[0]}", broken[1])
    known, events = set(), log.events()
    if expect is not None and all(event.hash != expect.strip().lower() for event in events):
        yield Finding("the trail", "has no event with the hash that is expected")
    for event in events:
        if event.kind != SAVED:
            continue
        for saved in filter(None, (event.body, event.body.get("instances"))):
            known.add(str(saved.get("file")))
            try:
                checked(folder / str(saved.get("file")), str(saved.get("sha256")))
            except InputError as error:
                yield Finding(f"event {event.n}, {error.where}", error.what)
    for name in unrecorded(folder, known):
        yield Finding(name, "no event is about this file")


def unrecorded(folder: Path, known: set[str]) -> list[str]:
    """Files of labels that no event names, relative to the store's folder; none that is only being written."""
    names = (f"{LABELS}/{path.name}" for path in (folder / LABELS).iterdir() if not path.name.startswith("."))
    return sorted(name for name in names if name not in known)
