"""What all senders together may hold in memory, where each message begins."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import psutil
from pynetdicom import evt

from medseg.service.pdu_bounds import PduBounds


class SharedBounds(PduBounds):
    """Bounds one message, and all that are under way together: a quarter of the memory, as each is copied once."""

    def __init__(self, folder: Path, together: int | None = None) -> None:
        super().__init__(folder=folder)
        self.together = psutil.virtual_memory().total // 4 if together is None else together
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()

    def _opened(self, event: evt.Event) -> None:
        super()._opened(event)
        event.assoc.dul.socket.medseg_is_whole = False
        self._sockets.add(event.assoc.dul.socket)

    def _message_ended(self, event: evt.Event) -> None:
        """Count a message until the next one begins, for it is held while it is written to the disk."""
        super()._message_ended(event)
        event.assoc.dul.socket.medseg_is_whole = True

    def _receive(self, association_socket: Any, count: int) -> bytearray:
        if association_socket.medseg_is_whole:
            association_socket.medseg_received, association_socket.medseg_is_whole = 0, False
        if count + sum(socket.medseg_received for socket in list(self._sockets)) > self.together:
            self._give_up("all senders together sent more than fits into memory")
        return super()._receive(association_socket, count)
