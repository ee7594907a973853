"""The end of associations, which no peer can hold up: pynetdicom waits for each to close, and a process for that."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider

ABORT_SECONDS = 1.0  # in which a peer takes an abort and closes


def open_associations() -> list[Association]:
    """Return all of this process, also those that are not agreed on yet."""
    return [thread.assoc for thread in threading.enumerate() if isinstance(thread, DULServiceProvider)]


def end(associations: Iterable[Association]) -> None:
    """Abort associations, and cut those whose peers do not close within bounds."""
    finish({association: abort(association) for association in associations})


def abort(association: Association) -> threading.Thread:
    """Begin to abort an association, as far as it was agreed on; the thread ends when its peer has closed."""
    thread = threading.Thread(target=association.abort if association.is_established else lambda: None, daemon=True)
    thread.start()
    return thread


def finish(aborted: Mapping[Association, threading.Thread]) -> None:
    """Wait for aborts within bounds, and end whatever still reads from a peer."""
    deadline = time.monotonic() + ABORT_SECONDS
    for thread in aborted.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    for association in aborted:
        association.dul.kill_dul()
        with suppress(AttributeError, OSError):  # it is closed by now
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
