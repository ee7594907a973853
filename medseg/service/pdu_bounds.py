"""DIMSE within bounds: pynetdicom reads into memory whatever length a peer claims, for as long as it drips."""

from __future__ import annotations

import time
from typing import Any, NoReturn

from pynetdicom import evt

from medseg.service.bounds import LARGEST_OBJECT, LARGEST_PDU, PDU_SECONDS

CHUNK = 1 << 16


class PduBounds:
    """Bounds what comes in over associations; give `handlers` to whoever makes them.

    Parameters
    ----------
    most : int, optional
        Bytes of an association altogether; without it, bytes of one message, whose data is held in memory.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = LARGEST_OBJECT if most is None else most
        self.of_association = most is not None
        self.handlers = [(evt.EVT_CONN_OPEN, self._opened), (evt.EVT_DIMSE_RECV, self._message_ended)]
        self.refused = ""  # why a connection was given up

    def _opened(self, event: evt.Event) -> None:
        socket: Any = event.assoc.dul.socket
        socket.medseg_received = 0
        socket.recv = lambda count: self._receive(socket, count)

    def _message_ended(self, event: evt.Event) -> None:
        if not self.of_association:
            event.assoc.dul.socket.medseg_received = 0

    def _receive(self, association_socket: Any, count: int) -> bytearray:
        """Read so many bytes; an `OSError`, by which pynetdicom ends the association, where they are too many."""
        association_socket.medseg_received += count
        if count > LARGEST_PDU:
            self._give_up(f"it announced a message part of {count:,} bytes")
        if association_socket.medseg_received > self.most:
            self._give_up(f"it sent more than {self.most >> 20} MiB")
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
