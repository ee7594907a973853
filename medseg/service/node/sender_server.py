"""A server of associations that no sender can hold up: neither its other senders nor its own end."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import ThreadedAssociationServer

from medseg.service.ending import abort, finish
from medseg.service.pdu_bounds import is_under_way

log = logging.getLogger("medseg.serve")
HANDSHAKE_SECONDS = 15.0
FINISH_SECONDS = 3.0  # of the end, in which what is being received may come whole and be answered
LOOK_EVERY = 0.02


class SenderServer(ThreadedAssociationServer):  # type: ignore[misc,unused-ignore]
    """pynetdicom's own waits for the handshake of each sender, and its threads for whoever holds an association."""

    daemon_threads = True  # those of handshakes

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._unanswered: set[Association] = set()
        self._is_ending = False
        super().__init__(*arguments, **more)
        self.bind(evt.EVT_DIMSE_RECV, lambda event: self._unanswered.add(event.assoc))
        self.bind(evt.EVT_PDU_SENT, self._answered)
        self.bind(evt.EVT_CONN_CLOSE, lambda event: self._unanswered.discard(event.assoc))

    def _answered(self, event: evt.Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            self._unanswered.discard(event.assoc)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; what is encrypted is not waited for."""
        accepted, address = self.socket.accept()
        if self.ssl_context is None:
            return accepted, address
        return self.ssl_context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Agree on the encryption within bounds, then on the association; called in a thread of the connection."""
        if isinstance(request, ssl.SSLSocket):
            request.settimeout(HANDSHAKE_SECONDS)
            request.do_handshake()
            request.settimeout(None)
        if self._is_ending:
            self.shutdown_request(request)
            return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note that a connection came to nothing; the standard library would print a traceback."""
        log.info("A connection came to nothing before it was an association.")

    def shutdown(self) -> None:
        """Hear nobody new, let what is being received end within bounds, and end every association."""
        self._is_ending = True
        super().shutdown()
        deadline, aborted = time.monotonic() + FINISH_SECONDS, dict[Association, threading.Thread]()
        while waiting := [one for one in self.active_associations if one not in aborted]:
            is_late = time.monotonic() > deadline
            for association in waiting:
                if is_late or not (association in self._unanswered or is_under_way(association)):
                    aborted[association] = abort(association)
            time.sleep(LOOK_EVERY)
        finish(aborted)
