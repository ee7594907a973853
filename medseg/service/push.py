"""Sends DICOM objects to an archive, and tries again what fails for the moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.service.archive import Archive, ArchiveError
from medseg.service.outgoing import Outgoing, outgoing
from medseg.service.retry import keep_trying


@dataclass(frozen=True)
class Pushed:
    """What became of one object."""

    path: Path
    instance: str
    reason: str | None = None  # why the archive does not have it; None where it does


def push(paths: Sequence[Path], archive: Archive, *, retries: int = 3, wait: float = 2.0) -> list[Pushed]:
    """Send every DICOM object under some files and folders.

    Sending twice is harmless: an object that is already there counts as sent. A broken connection is tried again with
    what had not been sent, after `wait` seconds, doubled each time.
    """
    if archive.protocol == "dimse":
        from medseg.service.dimse import store
    else:
        from medseg.service.web import store
    items = outgoing(paths)
    if not items:
        raise InputError("there is no DICOM object here", where=paths[0], fix="Name DICOM files, or their folder.")
    done: dict[str, Pushed] = {}

    def send() -> None:
        for item, reason in store(archive, [item for item in items if item.instance not in done]):
            done[item.instance] = Pushed(item.path, item.instance, reason)

    try:
        keep_trying(send, retries=retries, wait=wait)
    except ArchiveError as error:
        if not done:
            raise
        return [done.get(item.instance, _unsent(item, error)) for item in items]
    return [done[item.instance] for item in items]


def _unsent(item: Outgoing, error: ArchiveError) -> Pushed:
    return Pushed(item.path, item.instance, error.what)
