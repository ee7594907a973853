"""The process that works on one input after another; started by `medseg.isolation.each`, never manually."""

from __future__ import annotations

import logging
from multiprocessing.connection import Connection
from typing import Any

from medseg.isolation.boundary import as_failure, attempt
from medseg.isolation.child import serve


def answer(connection: Connection[Any, Any]) -> None:
    """Take a function, then one item after another, and answer each with what the function made of it."""
    function = connection.recv()
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    connection.send("ready")
    while True:
        result = attempt(function, connection.recv())
        try:
            connection.send(result)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # it cannot be pickled
            connection.send(as_failure(error))


if __name__ == "__main__":
    serve(answer)
