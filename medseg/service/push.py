"""Sends DICOM objects to an archive, and tries again what fails for the moment."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.errors import InputError
from medseg.service import bounds
from medseg.service.archive import Archive, ArchiveError
from medseg.service.bounds import TimeForTries
from medseg.service.outgoing import Outgoing, outgoing
from medseg.service.retry import keep_trying

log = logging.getLogger("medseg.service.push")


@dataclass(frozen=True)
class Pushed:
    """What became of one object."""

    path: Path
    instance: str  # its UID; empty for a file that was passed over
    reason: str | None = None  # why the archive does not have it; None where it does
    note: str | None = None  # what the archive did with it beside storing it, such as changing values


def push(paths: Sequence[Path], archive: Archive, *, retries: int = 3, wait: float = 2.0) -> list[Pushed]:
    """Send every DICOM object under some files and folders.

    An object counts as sent when the archive's answer lists it. Every file that is or may have been a DICOM object and
    is not sent stands in what is returned, with the reason: one without preamble, an empty or cut one, and objects that
    share a UID.

    Sending twice is harmless: an object that is already there counts as sent. A broken connection is tried again with
    what had not been sent, after `wait` seconds, doubled each time; an address at which nobody ever answered is not.
    """
    if archive.protocol == "dimse":
        from medseg.service.dimse import store
    else:
        from medseg.service.web import store
    items, passed_over = outgoing(paths)
    for left in passed_over:
        log.log(logging.WARNING if left.fails else logging.INFO, "%s is not sent: %s.", left.path, left.reason)
    missing = [Pushed(left.path, "", left.reason) for left in passed_over if left.fails]
    if not items and not missing:
        raise InputError("there is no DICOM object here", where=paths[0], fix="Name DICOM files, or their folder.")
    done: dict[str, Pushed] = {}
    time_for = TimeForTries(bounds.TRIES_SECONDS, bounds.UPLOAD_RATE)

    def send() -> None:
        for item, answer in store(archive, [item for item in items if item.instance not in done]):
            done[item.instance] = Pushed(item.path, item.instance, answer.reason, answer.note)
            time_for.came(item.path.stat().st_size)

    try:
        if items:
            keep_trying(send, retries=retries, wait=wait, time_for=time_for, has_answered=lambda: bool(done))
    except ArchiveError as error:
        if not done:
            raise
        return [*(done.get(item.instance, _unsent(item, error)) for item in items), *missing]
    return [*(done[item.instance] for item in items), *missing]


def _unsent(item: Outgoing, error: ArchiveError) -> Pushed:
    return Pushed(item.path, item.instance, error.what)
