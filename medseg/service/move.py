"""C-MOVE: the archive sends a series to a storage provider of ours, which listens for as long as that takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    StudyRootQueryRetrieveInformationModelMove,
)

from medseg.counted import counted
from medseg.errors import UsageError
from medseg.io.dicom.inflated import read_dicom
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.dimse import KINDS, STORED, SYNTAXES, association, completed, kept, series_query
from medseg.service.pdu_bounds import PduBounds

log = logging.getLogger("medseg.service.move")
LAST_OBJECTS = 30.0  # seconds for what an archive says it sent to arrive


def move(archive: Archive, study: str, series: str, keep: Callable[[str | None, BinaryIO], None], folder: Path) -> None:
    """Fetch a series by C-MOVE.

    The archive must know our application entity title at the address it sends to, `Archive.move_port`. Objects of other
    series, and calls that are not for us, are rejected.
    """
    model = StudyRootQueryRetrieveInformationModelMove
    arrived: set[str] = set()
    more = threading.Condition()

    def keep_own(instance: str | None, content: BinaryIO) -> None:
        if _series_of(content) != series:
            raise ArchiveRefusal(
                "an object that was not requested was rejected", where=archive.name, fix="Ask its administrator."
            )
        keep(instance, content)

    def receive(event: evt.Event) -> int:
        status = kept(keep_own, event, folder)
        if status == STORED:
            with more:
                arrived.add(str(event.request.AffectedSOPInstanceUID))
                more.notify()
        return status

    with (
        _listening(archive, receive, folder),
        association(archive, lambda entity: entity.add_requested_context(model)) as link,
    ):
        answers = link.send_c_move(series_query(study, series), archive.aet, model)
        sent = completed(answers, archive, series, lambda: len(arrived))
        with more:  # some archives answer before the last object has arrived
            complete = more.wait_for(lambda: len(arrived) >= sent, LAST_OBJECTS)
    if not complete:
        raise ArchiveError(
            f"the archive says it sent {counted(sent, 'object')} of series {series}, and {len(arrived)} arrived",
            where=archive.name,
            fix=f"Check that the archive has {archive.aet} configured with the address of --move-port.",
        )


@contextmanager
def _listening(archive: Archive, receive: Callable[[evt.Event], int], folder: Path) -> Iterator[None]:
    if archive.move_port is None:
        raise UsageError(
            "C-MOVE needs a port of this machine that the archive sends to", fix="Give --move-port HOST:PORT."
        )
    entity = AE(ae_title=archive.aet)
    entity.require_called_aet = True
    for sop_class in {*KINDS, *(str(context.abstract_syntax) for context in AllStoragePresentationContexts)}:
        entity.add_supported_context(sop_class, SYNTAXES)
    try:
        handlers = [(evt.EVT_C_STORE, receive), *PduBounds(folder=folder).handlers]
        server = entity.start_server(
            archive.move_port, block=False, evt_handlers=handlers, ssl_context=archive.move_tls
        )
    except OSError as error:
        raise UsageError(
            f"nothing can listen at {archive.move_port[0]}:{archive.move_port[1]} ({error.strerror or error})",
            fix="Give a free port of an address of this machine.",
        ) from error
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


def _series_of(content: BinaryIO) -> str | None:
    """Series UID of an object; None where it has none or is damaged."""
    try:
        header = read_dicom(content, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True)
    except Exception:  # pydicom raises nearly anything on damaged objects
        return None
    return str(header.get("SeriesInstanceUID") or "") or None
