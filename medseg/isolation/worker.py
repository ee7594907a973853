"""The process that works on one input after another; started by `medseg.isolation.each`, never manually."""

from __future__ import annotations

import logging
import sys

from medseg.errors import Interrupted
from medseg.isolation.boundary import as_failure, attempt
from medseg.isolation.child import connected


def main() -> None:
    """Take a function, then one item after another, and answer each with what the function made of it."""
    with connected() as connection:
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
    try:
        main()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
    except Interrupted:
        sys.exit(Interrupted.exit_code)
