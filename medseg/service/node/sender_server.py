"""A server of associations that no sender can hold up: each one's TLS handshake is done in its own thread."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Any

from pynetdicom.transport import ThreadedAssociationServer

log = logging.getLogger("medseg.serve")
HANDSHAKE_SECONDS = 15.0


class SenderServer(ThreadedAssociationServer):  # type: ignore[misc,unused-ignore]
    """pynetdicom's own would wait for the handshake of one sender before it hears the next."""

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
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note that a connection came to nothing; the standard library would print a traceback."""
        log.info("A connection came to nothing before it was an association.")
