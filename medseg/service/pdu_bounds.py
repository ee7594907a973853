"""DIMSE within bounds: pynetdicom reads into memory whatever length a peer claims, for as long as it drips."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from pynetdicom import evt
from pynetdicom.pdu import P_DATA_TF

from medseg.service.bounds import LARGEST_COMMAND, LARGEST_OBJECT, LARGEST_PDU, PDU_SECONDS, message_seconds

CHUNK = 1 << 16
IS_COMMAND = 1  # bit of the first byte of a part


@dataclass
class _Message:
    """What has come of one message; of what is none, nothing."""

    began: float = math.inf  # by `time.monotonic`
    size: int = 0  # bytes
    command: int = 0  # bytes of it that are the command
    refusal: str = ""  # why nothing more of it is read


def refuse_more(event: evt.Event, why: str) -> None:
    """Read nothing more from a peer whose message an event is about: the association ends."""
    event.assoc.dul.socket.medseg_message.refusal = why


class PduBounds:
    """Bounds what comes in over associations; give `handlers` to whoever makes them.

    Parameters
    ----------
    most : int, optional
        Bytes of an association altogether; without it, bytes of one message, whose data is held in memory.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = LARGEST_OBJECT if most is None else most
        self.each_anew = most is None  # whether each message is counted anew
        self.handlers = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_PDU_RECV, self._part_ended),
            (evt.EVT_DIMSE_RECV, self._message_ended),
        ]
        self.refused = ""  # why a connection was given up

    def _opened(self, event: evt.Event) -> None:
        socket: Any = event.assoc.dul.socket
        socket.medseg_received = 0
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
        values = [item.presentation_data_value for item in event.pdu.presentation_data_value_items]
        socket.medseg_message.command += sum(len(value) for value in values if value[:1] and value[0] & IS_COMMAND)

    def _message_ended(self, event: evt.Event) -> None:
        event.assoc.dul.socket.medseg_message = _Message()
        if self.each_anew:
            event.assoc.dul.socket.medseg_received = 0

    def _receive(self, association_socket: Any, count: int) -> bytearray:
        """Read so many bytes; an `OSError`, by which pynetdicom ends the association, where they are too many."""
        message = association_socket.medseg_message
        if not message.size:
            message.began = time.monotonic()
        message.size += count
        association_socket.medseg_received += count
        if message.refusal:
            self._give_up(message.refusal)
        if count > LARGEST_PDU:
            self._give_up(f"it announced a message part of {count:,} bytes")
        if association_socket.medseg_received > self.most:
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
