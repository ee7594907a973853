"""DIMSE within bounds: pynetdicom holds in memory whatever a peer sends, for as long as it drips."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF

from medseg.service.archive import ArchiveError
from medseg.service.arriving import ArrivedData, check_space, nameless_file
from medseg.service.bounds import (
    LARGEST_COMMAND,
    LARGEST_IN_MEMORY,
    LARGEST_OBJECT,
    LARGEST_PDU,
    MOST_WAITING,
    PDU_SECONDS,
    message_seconds,
)

CHUNK = 1 << 16
IS_COMMAND = 1  # bit of the first byte of a part


@dataclass
class _Message:
    """What has come of one message; of what is none, nothing."""

    began: float = math.inf  # by `time.monotonic`
    size: int = 0  # bytes
    command: int = 0  # bytes of it that are the command
    refusal: str = ""  # why nothing more of it is read
    data: int = 0  # bytes of it that are data
    rest: BinaryIO | None = None  # the data after their beginning, where they are large
    failure: ArchiveError | OSError | None = None  # why `rest` is not all of them


def _keep_rest(message: _Message, content: bytes, folder: Path) -> None:
    """Put data into the file of a message's rest; why that failed becomes why nothing more is read."""
    try:
        if message.rest is None:
            message.rest = nameless_file(folder)
        check_space(folder, len(content))
        message.rest.write(content)
    except (ArchiveError, OSError) as error:
        message.failure = error
        message.refusal = error.what if isinstance(error, ArchiveError) else f"the disk failed ({error.strerror})"


def refuse_more(event: evt.Event, why: str) -> None:
    """Read nothing more from a peer whose message an event is about: the association ends."""
    event.assoc.dul.socket.medseg_message.refusal = why


def is_under_way(association: Association) -> bool:
    """Whether a part of a message has come over an association, and its end not yet."""
    plain = association.dul.socket
    return plain is not None and plain.medseg_message.size > 0


class PduBounds:
    """Bounds what comes in over associations; give `handlers` to whoever makes them.

    Parameters
    ----------
    most : int, optional
        Bytes of an association altogether; without it, bytes of one message.
    folder : Path, optional
        Where the data of a message go, beyond what is held in memory; without it, all of them are. Whoever handles
        C-STORE gets them by `medseg.service.arriving`.
    """

    def __init__(self, most: int | None = None, folder: Path | None = None) -> None:
        self.most = LARGEST_OBJECT if most is None else most
        self.folder = folder
        self.of_all = most is not None  # not of each message
        self.handlers = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_PDU_RECV, self._part_ended),
            (evt.EVT_DIMSE_RECV, self._message_ended),
        ]
        self.refused = ""  # why a connection was given up

    def _opened(self, event: evt.Event) -> None:
        socket: Any = event.assoc.dul.socket
        socket.medseg_received = 0  # bytes, without those in files
        socket.medseg_message = _Message()
        socket.recv = lambda count: self._receive(socket, count)

    def _part_ended(self, event: evt.Event) -> None:
        """Count what is of a command; what is of no message begins none."""
        socket = event.assoc.dul.socket
        if socket is None:
            return
        if not isinstance(event.pdu, P_DATA_TF):
            socket.medseg_message = _Message()
            return
        message = socket.medseg_message
        for item in event.pdu.presentation_data_value_items:
            value = item.presentation_data_value
            if value[:1] and value[0] & IS_COMMAND:
                message.command += len(value)
            elif self.folder is not None:
                message.data += len(value)
                if message.data > LARGEST_IN_MEMORY:
                    _keep_rest(message, value[1:], self.folder)
                    item.presentation_data_value = value[:1]  # all that pynetdicom is shown of it
                    socket.medseg_received -= len(value)

    def _message_ended(self, event: evt.Event) -> None:
        message = event.assoc.dul.socket.medseg_message
        if message.rest is not None or message.failure is not None:
            event.message.data_set = ArrivedData(event.message.data_set.getvalue(), message.rest, message.failure)
        event.assoc.dul.socket.medseg_message = _Message()

    def _receive(self, association_socket: Any, count: int) -> bytearray:
        """Read so many bytes; an `OSError`, by which pynetdicom ends the association, where they are too many."""
        message = association_socket.medseg_message
        if not message.size:
            message.began = time.monotonic()
        message.size += count
        association_socket.medseg_received += count
        if message.refusal:
            self._give_up(message.refusal)
        if self.folder is not None and association_socket.assoc.dimse.msg_queue.qsize() > MOST_WAITING:
            self._give_up("it did not wait for answers to what it sent")
        if count > LARGEST_PDU:
            self._give_up(f"it announced a message part of {count:,} bytes")
        if (association_socket.medseg_received if self.of_all else message.size) > self.most:
            self._give_up(f"it sent more than {self.most >> 20} MiB")
        if message.command > LARGEST_COMMAND:
            self._give_up(f"it sent a command of more than {LARGEST_COMMAND >> 10} KiB")
        if time.monotonic() > message.began + (allowed := message_seconds(message.size)):
            self._give_up(f"a message took longer than {allowed:.0f} s")
        plain = association_socket.socket
        before, deadline = plain.gettimeout(), time.monotonic() + PDU_SECONDS
        received = bytearray()
        try:
            while len(received) < count:
                plain.settimeout(max(0.001, deadline - time.monotonic()))
                try:
                    piece = plain.recv(min(CHUNK, count - len(received)))
                except TimeoutError:
                    self._give_up(f"part of a message took longer than {PDU_SECONDS:g} s")
                if not piece:
                    break
                received += piece
        finally:
            plain.settimeout(before)
        return received

    def _give_up(self, why: str) -> NoReturn:
        self.refused = why
        raise OSError(why)
