"""C-MOVE: the archive sends a series to a storage provider of ours, which listens for as long as that takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import pydicom
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    StudyRootQueryRetrieveInformationModelMove,
)

from medseg.errors import UsageError
from medseg.service.archive import Archive, ArchiveError
from medseg.service.dimse import KINDS, SYNTAXES, association, completed, series_query

__all__ = ["move"]

log = logging.getLogger("medseg.service.move")
STORED, NO_ROOM, NOT_ASKED_FOR = 0x0000, 0xA700, 0xA900
LAST_OBJECTS = 30.0  # seconds for what an archive says it sent to arrive


def move(archive: Archive, study: str, series: str, keep: Callable[[str, bytes], None]) -> None:
    """Fetch a series by C-MOVE.

    The archive must know our application entity title at the address it is told to send to (`Archive.listen`). Objects
    of other series, and calls that are not for us, are refused.

    Parameters
    ----------
    archive : Archive
        The archive, with `listen`.
    study, series : str
        UIDs.
    keep : callable
        Takes the instance UID and the whole file of each object as it comes.

    Raises
    ------
    ArchiveError
        When not every object came.
    UsageError
        When nothing can listen at the address.
    """
    model = StudyRootQueryRetrieveInformationModelMove
    arrived: set[str] = set()
    more = threading.Condition()

    def receive(event: evt.Event) -> int:
        content: bytes = event.encoded_dataset()
        if _series_of(content) != series:
            log.warning("an object that was not asked for was refused")
            return NOT_ASKED_FOR
        instance = str(event.request.AffectedSOPInstanceUID)
        try:
            keep(instance, content)
        except OSError:
            log.error("an object could not be written; is the disk full?")
            return NO_ROOM
        with more:
            arrived.add(instance)
            more.notify()
        return STORED

    with (
        _listening(archive, receive),
        association(archive, lambda entity: entity.add_requested_context(model)) as link,
    ):
        sent = completed(link.send_c_move(series_query(study, series), archive.calling, model), archive, series)
        with more:  # some archives answer before the last object has arrived
            there = more.wait_for(lambda: len(arrived) >= sent, LAST_OBJECTS)
    if not there:
        raise ArchiveError(
            f"the archive says it sent {sent} objects of series {series}, and {len(arrived)} came",
            where=archive.name,
            fix=f"Check that it knows {archive.calling} at the address we listen at.",
        )


@contextmanager
def _listening(archive: Archive, receive: Callable[[evt.Event], int]) -> Iterator[None]:
    if archive.listen is None:
        raise UsageError("C-MOVE needs an address of ours that the archive sends to", fix="Give --move-port HOST:PORT.")
    entity = AE(ae_title=archive.calling)
    entity.require_called_aet = True
    for sop_class in {*KINDS, *(str(context.abstract_syntax) for context in AllStoragePresentationContexts)}:
        entity.add_supported_context(sop_class, SYNTAXES)
    try:
        server = entity.start_server(
            archive.listen, block=False, evt_handlers=[(evt.EVT_C_STORE, receive)], ssl_context=archive.listen_tls
        )
    except OSError as error:
        raise UsageError(
            f"nothing can listen at {archive.listen[0]}:{archive.listen[1]} ({error.strerror or error})",
            fix="Give a free port of an address of this machine.",
        ) from error
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


def _series_of(content: bytes) -> str | None:
    """Series UID of an object; None where it has none or is damaged."""
    try:
        header = pydicom.dcmread(BytesIO(content), specific_tags=["SeriesInstanceUID"], stop_before_pixels=True)
    except (InvalidDicomError, EOFError, ValueError):
        return None
    return str(header.get("SeriesInstanceUID") or "") or None
