"""The storage provider: what senders are told, by objects whose headers alone are looked at."""

from __future__ import annotations

import hashlib
import logging
import ssl
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

from pydicom.filereader import read_partial
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined,unused-ignore]
    StorageCommitmentPushModel,
    Verification,
)

from medseg.errors import MedsegError, UsageError
from medseg.harmless import one_line
from medseg.io.dicom.header import lenient
from medseg.io.dicom.pixel_length import lacking_pixels
from medseg.isolation.boundary import attempt, in_words
from medseg.service.archive import ArchiveError, is_uid
from medseg.service.arriving import data_of, file_of_object
from medseg.service.dimse import KINDS, PLAIN, SYNTAXES
from medseg.service.node.config import NodeConfig, Tls
from medseg.service.node.incoming import NO_ROOM, Arrival, Incoming
from medseg.service.node.sender_server import SenderServer
from medseg.service.node.shared_bounds import SharedBounds

log = logging.getLogger("medseg.serve")
NOT_AUTHORIZED, NOT_ITS_CLASS, NOT_UNDERSTOOD = 0x0124, 0xA900, 0xC000
IDENTITY = [Tag(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")]
LAST = max(IDENTITY)
# Not deflated ones: a few bytes of such an object may stand for gigabytes, which reading its header would unpack.
ACCEPTED = tuple(syntax for syntax in SYNTAXES if syntax != DeflatedExplicitVRLittleEndian)
IDLE_SECONDS = 60.0  # after which an association without a message ends
ASSOCIATE_SECONDS = 15.0  # in which who connects must ask for one
PDU_BYTES = 1 << 18  # that a sender may put into one part of a message
Handler = tuple[Any, Callable[..., Any]]


class Receiver:
    """Answers senders; knows which series an open association has sent objects of."""

    def __init__(self, incoming: Incoming, callers: Collection[str] = ()) -> None:
        self.incoming, self.callers = incoming, frozenset(callers)
        self.statuses: Counter[int] = Counter()
        self._open: defaultdict[int, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def is_arriving(self, series: str) -> bool:
        """Whether the association that sent objects of a series is still there."""
        with self._lock:
            return any(series in sent for sent in self._open.values())

    def store(self, event: evt.Event) -> int:
        """Keep one object; return the status its sender is told."""
        try:
            status = self._store(event)
        except (ArchiveError, OSError) as error:
            log.error("An object could not be written (%s); its sender is told to try again.", in_words(error))
            status = NO_ROOM
        except Exception as error:  # whatever a damaged object raises, its sender hears that it was not stored
            log.error("An object could not be taken (%s).", type(error).__name__)
            status = NOT_UNDERSTOOD
        with self._lock:
            self.statuses[status] += 1
        return status

    def _store(self, event: evt.Event) -> int:
        caller = str(event.assoc.requestor.ae_title).strip()
        if self.callers and caller not in self.callers:  # an archive, which may report commitment and nothing else
            return NOT_AUTHORIZED
        with closing(file_of_object(event, self.incoming.parts)) as content:
            return self._keep(event, caller, content)

    def _keep(self, event: evt.Event, caller: str, content: BinaryIO) -> int:
        """Keep an object whose file this is, unless it is another than its sender says."""
        instance, sop_class = str(event.request.AffectedSOPInstanceUID), str(event.request.AffectedSOPClassUID)
        header = identity(content)
        if header is None or not all(header):
            what = "its header cannot be read" if header is None else "it has no UID of its instance, study or series"
            log.warning("An object of %s was refused: %s.", one_line(caller), what)
            return NOT_UNDERSTOOD
        own, study, series = header
        uids = {"SOP instance": instance, "SOP class": sop_class, "study": study, "series": series}
        wrong = [f"no valid UID of its {name}" for name, uid in uids.items() if not is_uid(uid)]
        if own != instance:
            wrong.append("another instance inside than its sender says")
        if wrong:
            log.warning("An object of %s was refused: it has %s.", one_line(caller), ", ".join(wrong))
            return NOT_ITS_CLASS
        if lacking := lacking_pixels(content):
            log.warning("An object of %s was refused: it has %d of %d bytes of its pixels.", one_line(caller), *lacking)
            return NOT_UNDERSTOOD
        with self._lock:
            self._open[id(event.assoc)].add(series)
        # Not of the file's own first lines, which the version of a library decides.
        digest = hashlib.sha256(str(event.context.transfer_syntax).encode())
        for piece in data_of(event):
            digest.update(piece)
        return self.incoming.keep(Arrival(instance, sop_class, series, study, caller, digest.hexdigest(), content))

    def closed(self, event: evt.Event) -> None:
        """Forget an association."""
        with self._lock:
            self._open.pop(id(event.assoc), None)
        if event.assoc.requestor.primitive is None:
            # It never asked for an association, as probes of a port do. pynetdicom would wait for that all the same,
            # and count it among those it may have at once; nothing in its queue is how it gives up.
            event.assoc.dul.to_user_queue.put(None)


def identity(content: BinaryIO) -> tuple[str, str, str] | None:
    """UIDs of instance, study and series of a file, read no further than they lie; None where it is damaged."""
    found = attempt(_identity, content)  # pydicom raises nearly anything on damaged objects
    return None if isinstance(found, MedsegError) else found


def _identity(content: BinaryIO) -> tuple[str, str, str]:
    content.seek(0)
    with lenient():
        header = read_partial(content, stop_when=_is_beyond, specific_tags=IDENTITY)
        instance, study, series = (str(header.get(f"{kind}InstanceUID") or "") for kind in ("SOP", "Study", "Series"))
        return instance, study, series


def _is_beyond(tag: int, *_: object) -> bool:
    return bool(tag > LAST)


@contextmanager
def listening(
    config: NodeConfig, receiver: Receiver, more: Sequence[Handler] = (), reporters: Collection[str] = ()
) -> Iterator[None]:
    """Listen for senders; `more` are handlers of other messages, for which `reporters` may call too.

    Raises
    ------
    UsageError
        When the address cannot be used.
    """
    entity = AE(ae_title=config.aet)
    entity.require_called_aet = True
    entity.require_calling_aet = [*config.callers, *reporters] if config.callers else []
    entity.maximum_pdu_size = PDU_BYTES
    entity.maximum_associations = config.max_associations
    entity.network_timeout = entity.dimse_timeout = IDLE_SECONDS
    entity.acse_timeout = ASSOCIATE_SECONDS
    for sop_class in {*KINDS, *(str(context.abstract_syntax) for context in AllStoragePresentationContexts)}:
        entity.add_supported_context(sop_class, ACCEPTED)
    entity.add_supported_context(Verification, PLAIN)
    entity.add_supported_context(StorageCommitmentPushModel, PLAIN, scu_role=True, scp_role=True)
    handlers: list[Handler] = [
        (evt.EVT_C_STORE, receiver.store),
        (evt.EVT_C_ECHO, lambda _: 0x0000),
        (evt.EVT_CONN_CLOSE, receiver.closed),
        *SharedBounds(receiver.incoming.parts).handlers,
        *more,
    ]
    try:
        server = entity.make_server(
            (config.host, config.port),
            evt_handlers=handlers,
            ssl_context=server_tls(config.tls),
            server_class=SenderServer,
        )
    except OSError as error:
        raise UsageError(
            f"nothing can listen at {config.host}:{config.port} ({error.strerror or error})",
            fix="Give a free port of an address of this machine.",
        ) from error
    entity._servers.append(server)  # as start_server does; shutdown takes it out again
    threading.Thread(target=server.serve_forever, name="receive", daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()


def server_tls(tls: Tls) -> ssl.SSLContext | None:
    """What senders connect by; None where nothing is encrypted."""
    for key, path in tls:
        if path is not None and not path.is_file():
            raise UsageError("there is no such file", where=f"tls.{key}: {path}", fix="Check the path.")
    if tls.certificate is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ValueError) as error:
        raise UsageError(f"a certificate cannot be read ({error})", where="tls", fix="Give PEM files.") from error
    if tls.authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
