"""The process in which cases run; started by `medseg.engine.isolation`, never manually."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from typing import Any

from medseg.isolation.child import serve


def run(connection: Connection[Any, Any]) -> None:
    """Run each list of cases sent over the connection and send back each case as it starts and ends."""
    from medseg.engine.case_run import run_cases
    from medseg.errors import MedsegError
    from medseg.log_file import log_file

    one_at_a_time = threading.Lock()  # a connection mixes up what two threads send at once

    def send(message: object) -> None:
        with one_at_a_time:
            connection.send(message)

    work = connection.recv()
    with log_file(work.out):
        while True:  # until the parent closes the connection
            cases, alone = connection.recv()
            try:
                for message in run_cases(work, cases, send, send, alone):
                    send(message)
            except MedsegError as error:  # of no case: the whole run ends by it
                send(error)


if __name__ == "__main__":
    serve(run)
