"""Walks the audit trail and every file it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.io.files.file_hash import file_sha256
from medseg.io.files.review_folder import LABELS
from medseg.review.events import Event, EventLog
from medseg.review.label_files import HASH_LETTERS, checked
from medseg.review.revisions import SAVED

# Of a file of labels, or of the ids of objects beside it.
REVISION = re.compile(
    rf"(?P<labels>(?P<case>.+)\.r(?P<number>\d{{4,}})\.(?P<sha256>[0-9a-f]{{{HASH_LETTERS}}}))(?P<ids>\.instances)?\.nii\.gz"
)


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
    events = log.events()
    if expect is not None and all(event.hash != expect.strip().lower() for event in events):
        yield Finding("the trail", "has no event with the hash that is expected")
    for event in events:
        if event.kind != SAVED:
            continue
        for saved in filter(None, (event.body, event.body.get("instances"))):
            try:
                checked(folder / str(saved.get("file")), str(saved.get("sha256")))
            except InputError as error:
                yield Finding(f"event {event.n}, {error.where}", error.what)
    known = recorded(events)
    for name in unrecorded(folder, known):
        if not is_of_a_save(folder / name, known):
            yield Finding(name, "no event is about this file")


def recorded(events: Iterable[Event]) -> set[str]:
    """Return the files of labels and of objects that events name, relative to the store's folder."""
    saved = [event.body for event in events if event.kind == SAVED]
    return {str(one.get("file")) for body in saved for one in (body, body.get("instances")) if one}


def is_of_a_save(path: Path, known: set[str]) -> bool:
    """Whether an unrecorded file is what a save leaves that was stopped before it was acknowledged, or is under way.

    It has the name of the case's next revision, or of an earlier one that another save was given, and holds what that
    name says. Ids of objects have the name of labels that are no revision either.
    """
    named = REVISION.fullmatch(path.name)
    if named is None or int(named["number"]) > _newest(named["case"], known) + 1:
        return False
    if named["ids"]:
        return f"{LABELS}/{named['labels']}.nii.gz" not in known
    try:
        return file_sha256(path).startswith(named["sha256"])
    except OSError:  # deleted or recorded meanwhile
        return True


def _newest(case: str, known: set[str]) -> int:
    """Number of the newest revision of a case that an event names; 0 without any."""
    named = (REVISION.fullmatch(name.removeprefix(f"{LABELS}/")) for name in known)
    return max((int(one["number"]) for one in named if one is not None and one["case"] == case), default=0)


def unrecorded(folder: Path, known: set[str]) -> list[str]:
    """Files of labels that no event names, relative to the store's folder; none that is only being written."""
    names = (f"{LABELS}/{path.name}" for path in (folder / LABELS).iterdir() if not path.name.startswith("."))
    return sorted(name for name in names if name not in known)
