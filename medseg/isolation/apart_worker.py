"""The process that answers one call after another; started by `medseg.isolation.apart`, never manually."""

from __future__ import annotations

import logging
from multiprocessing.connection import Connection
from typing import Any

from medseg.isolation.apart import send
from medseg.isolation.boundary import as_failure, attempt
from medseg.isolation.child import serve

IDLE = 30.0  # seconds


def answer(connection: Connection[Any, Any]) -> None:
    """Call each function that comes, and answer with what it returns or raises; end when none comes for a while."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    while connection.poll(IDLE):
        result = attempt(connection.recv())
        try:
            send(connection, result)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # it cannot be pickled
            send(connection, as_failure(error))


if __name__ == "__main__":
    serve(answer, outlives_thread=True)
