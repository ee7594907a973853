"""Archives over DIMSE: C-STORE, C-FIND and C-GET; C-MOVE is in `medseg.service.move`."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from medseg.counted import counted
from medseg.isolation.boundary import STOPS, as_failure
from medseg.privacy.burned_in import MAPS, TOMOGRAPHY
from medseg.privacy.deidentify import DOCUMENTS
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal, no_connection
from medseg.service.arriving import file_of_object
from medseg.service.bounds import LARGEST_ANSWER, STALLED_SECONDS, Search
from medseg.service.ending import end
from medseg.service.outgoing import Answer, Outgoing
from medseg.service.pdu_bounds import PduBounds, refuse_more

log = logging.getLogger("medseg.service.dimse")
PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
SYNTAXES = (
    *PLAIN,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    JPEG2000,
)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
# What may come by C-GET, where each kind must be agreed on beforehand.
KINDS = tuple(sorted({str(uid) for uid in TOMOGRAPHY | MAPS | DOCUMENTS} | {SECONDARY_CAPTURE}))
MOST_CONTEXTS = 128  # an association can offer
NOTHING_OFFERED = "the archive offers nothing of what was asked for"
TIMEOUT = 30.0  # seconds without an answer after which an archive counts as gone
CONNECT_SECONDS = 3.0  # to learn why there is no connection
STORED, NO_ROOM, NOT_REQUESTED = 0x0000, 0xA700, 0xA900
SUCCESS, PENDING = (STORED,), (0xFF00, 0xFF01)
DUPLICATE, UNKNOWN_DESTINATION = 0x0111, 0xA801
NO_RESOURCES = 0xA7  # first byte of what may pass
PERMANENTLY = 0x01  # result of a rejected association
SEEN = "Check host, port and both application entity titles; the archive must know ours."


def store(archive: Archive, items: Sequence[Outgoing]) -> Iterator[tuple[Outgoing, Answer]]:
    """Send objects by C-STORE; yield each with what the archive said of it."""
    pending = list(items)
    while pending:
        kinds = list(dict.fromkeys((item.sop_class, item.syntax) for item in pending))[:MOST_CONTEXTS]
        batch = [item for item in pending if (item.sop_class, item.syntax) in kinds]
        pending = [item for item in pending if (item.sop_class, item.syntax) not in kinds]

        def offer(entity: AE, kinds: list[tuple[UID, UID]] = kinds) -> None:
            for sop_class, syntax in kinds:
                entity.add_requested_context(sop_class, PLAIN if syntax in PLAIN else [syntax])

        with association(archive, offer) as link:
            for item in batch:
                yield item, _store(link, item)


def _store(link: Association, item: Outgoing) -> Answer:
    if not link.is_established:
        raise ArchiveError("the archive broke the connection", fix="Run the same command again to resume.")
    try:
        status = link.send_c_store(item.path)
    except ValueError:
        return Answer(f"the archive does not take {item.sop_class.name} in {item.syntax.name}")
    except STOPS:
        raise
    except BaseException as error:  # pydicom raises nearly anything on damaged files
        return Answer(f"the file cannot be sent: {as_failure(error).what}")
    if "Status" not in status:
        raise ArchiveError("the archive stopped answering", fix="Run the same command again to resume.")
    code = int(status.Status)
    if code in SUCCESS or code == DUPLICATE:  # the same object, stored before
        return Answer()
    # Warnings (0xB...) mean stored.
    return Answer.stored(code) if code >> 12 == 0xB else Answer(f"the archive rejected it (0x{code:04X})")


def find(archive: Archive, level: str, keys: Mapping[str, str]) -> list[Dataset]:
    """Ask an archive by C-FIND (study root); `keys` are DICOM keywords with the value to match, or empty to get it."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    model = StudyRootQueryRetrieveInformationModelFind
    search = Search(archive.name)
    with association(
        archive, lambda entity: entity.add_requested_context(model), bounds=PduBounds(LARGEST_ANSWER)
    ) as link:
        found = []
        for status, answer in link.send_c_find(query, model):
            check(status, "the search failed")
            search.count()
            if int(status.Status) in PENDING and answer is not None:
                found.append(answer)
        return found


def get(archive: Archive, study: str, series: str, keep: Callable[[str | None, BinaryIO], None], folder: Path) -> None:
    """Fetch a series by C-GET; `keep` takes the instance UID and the whole file of each object as it comes.

    A large one lies in a folder until then; see `medseg.service.arriving`.
    """
    model = StudyRootQueryRetrieveInformationModelGet

    def offer(entity: AE) -> None:
        entity.add_requested_context(model)
        for sop_class in KINDS:
            entity.add_requested_context(sop_class, SYNTAXES)

    arrived: set[str] = set()

    def receive(event: evt.Event) -> int:
        status = kept(keep, event, folder)
        if status == STORED:
            arrived.add(str(event.request.AffectedSOPInstanceUID))
        elif status == NOT_REQUESTED:
            refuse_more(event, "it sent what was not asked for")
        return status

    roles = [build_role(sop_class, scp_role=True) for sop_class in KINDS]
    with association(archive, offer, roles, [(evt.EVT_C_STORE, receive)], PduBounds(folder=folder)) as link:
        sent = completed(link.send_c_get(series_query(study, series), model), archive, series, lambda: len(arrived))
    if len(arrived) < sent:
        raise ArchiveError(
            f"the archive speaks of {counted(sent, 'object')} of series {series}, and {len(arrived)} arrived",
            where=archive.name,
            fix="Run the same command again, or fetch over DICOMweb.",
        )


def kept(keep: Callable[[str | None, BinaryIO], None], event: evt.Event, folder: Path) -> int:
    """Keep an object that has arrived; return the status the archive is told."""
    try:
        with closing(file_of_object(event, folder)) as content:
            keep(str(event.request.AffectedSOPInstanceUID), content)
    except ArchiveError as error:
        log.warning("%s", error.what)
        return NOT_REQUESTED
    except OSError:
        log.error("An object could not be written; check that the disk is not full.")
        return NO_ROOM
    return STORED


def series_query(study: str, series: str) -> Dataset:
    """What C-GET and C-MOVE ask for, in the study root model: one whole series."""
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID = "SERIES", study, series
    return query


def completed(
    answers: Iterator[tuple[Dataset, Dataset | None]], archive: Archive, series: str, arrived: Callable[[], int]
) -> int:
    """Go through the answers to C-GET or C-MOVE to the last; return how many objects the archive speaks of in all.

    `arrived` counts those that have come; an archive that only ever says that more will come is given up.
    """
    last, of_all = Dataset(), 0
    most, since = 0, time.monotonic()
    for last, _ in answers:
        if "Status" not in last or int(last.Status) not in PENDING:
            check(last, "the archive did not send the series")
        of_all = max(of_all, sum(_number(last, kind) for kind in ("Completed", "Warning", "Failed", "Remaining")))
        if arrived() > most:
            most, since = arrived(), time.monotonic()
        if time.monotonic() - since > STALLED_SECONDS:
            raise ArchiveError(
                f"no further object of series {series} came in {STALLED_SECONDS:g} s",
                where=archive.name,
                fix="Run the same command again.",
            )
    if failed := _number(last, "Failed"):
        raise ArchiveRefusal(
            f"{counted(failed, 'object')} of series {series} did not arrive",
            where=archive.name,
            fix="Fetch them over DICOMweb, which does not depend on their kind.",
        )
    return of_all


def _number(answer: Dataset, kind: str) -> int:
    """Return how many objects an answer counts as completed, remaining and so on; 0 where it does not say."""
    try:
        return max(0, int(answer.get(f"NumberOf{kind}Suboperations") or 0))
    except (TypeError, ValueError):
        return 0


def check(status: Dataset, what: str) -> None:
    """Raise `ArchiveError` unless a status is one of success, warning or more to come."""
    if "Status" not in status:
        raise ArchiveError(f"{what}: no answer", fix="Run the same command again.")
    code = int(status.Status)
    if code == UNKNOWN_DESTINATION:
        raise ArchiveRefusal(
            f"{what}: it does not know our AE title as a destination",
            fix="Enter our AE title, address and port in its settings.",
        )
    if code not in (*SUCCESS, *PENDING) and code >> 12 != 0xB:
        kind = ArchiveError if code >> 8 == NO_RESOURCES else ArchiveRefusal
        raise kind(f"{what} (0x{code:04X})", fix="The archive's log says more.")


@contextmanager
def association(
    archive: Archive,
    offer: Callable[[AE], None],
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
    bounds: PduBounds | None = None,
) -> Iterator[Association]:
    """Associate with an archive for what `offer` asks for, and release it at the end."""
    bounds = bounds or PduBounds()
    entity = AE(ae_title=archive.aet)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT
    entity.connection_timeout = TIMEOUT
    offer(entity)
    try:
        link = entity.associate(
            archive.host,
            archive.port,
            ae_title=archive.ae_title,
            ext_neg=list(roles),
            evt_handlers=[*handlers, *bounds.handlers],
            tls_args=None if archive.tls is None else (archive.tls, archive.host),
        )
    except OSError as error:  # before it connects, of the name
        raise no_connection(error, archive.name, SEEN, "its name cannot be looked up") from error
    if not link.is_established:
        if link.is_rejected and link.acceptor.primitive is not None and link.acceptor.primitive.result == PERMANENTLY:
            raise ArchiveRefusal("the archive rejected the association", where=archive.name, fix=SEEN)
        if link.is_aborted and link.rejected_contexts and not link.accepted_contexts:
            raise ArchiveError(NOTHING_OFFERED, where=archive.name, fix=SEEN)
        why = "it rejected the association for now" if link.is_rejected else "nothing answered as an archive"
        failure = None if link.is_rejected or bounds.refused else _why_none(archive)
        raise no_connection(failure, archive.name, SEEN, bounds.refused or why)
    try:
        yield link
    except BaseException as error:
        if link.is_established:
            end([link])  # nobody waits for what it still sends
        if isinstance(error, ArchiveError) and bounds.refused:
            raise ArchiveRefusal(f"the archive was left: {bounds.refused}", where=archive.name, fix=SEEN) from error
        raise
    if link.is_established:
        link.release()


def _why_none(archive: Archive) -> OSError | None:
    """Connect once more, because pynetdicom does not say why it could not; return what that raises."""
    try:
        socket.create_connection((archive.host, archive.port), CONNECT_SECONDS).close()
    except OSError as error:
        return error
    return None
