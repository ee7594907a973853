"""The process in which a fold trains on a machine of a cluster; started by `medseg.training.fold_actor`."""

from __future__ import annotations

import logging
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from medseg.isolation.child import serve


class _Sender(logging.Handler):
    """Sends what the user is told, whose process is on another machine."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        super().__init__(logging.INFO)
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self.connection.send((record.levelno, record.getMessage()))


def run(connection: Connection[Any, Any]) -> None:
    """Train the run sent over the connection, and send the log's lines and in the end None or an error."""
    from medseg.errors import MedsegError
    from medseg.isolation.boundary import attempt
    from medseg.log_file import log_file
    from medseg.training.device import choose_device
    from medseg.training.train import train_model

    training, device = connection.recv()
    logging.getLogger("medseg").handlers = [_Sender(connection)]
    logging.getLogger("medseg").setLevel(logging.INFO)
    with log_file(training.out):
        start = training.start
        if start is not None and not start.folder.is_dir():
            start = None  # found on this machine by its name
        result = attempt(lambda: train_model(replace(training, device=choose_device(device), start=start)))
    connection.send(result if isinstance(result, MedsegError) else None)


if __name__ == "__main__":
    serve(run, one_case=False)
