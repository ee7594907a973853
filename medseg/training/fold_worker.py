"""The process in which a fold trains on a machine of a cluster; started by `medseg.training.fold_actor`."""

from __future__ import annotations

import logging
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from medseg.isolation.child import serve

if TYPE_CHECKING:
    from medseg.training.training_run import TrainingRun


# Seconds in which an earlier run of the same fold, which nobody waits for any more, must have ended.
SECONDS_FOR_LOCK = 60.0


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

    training, device = connection.recv()
    logging.getLogger("medseg").handlers = [_Sender(connection)]
    logging.getLogger("medseg").setLevel(logging.INFO)
    with log_file(training.out):
        start = training.start
        if start is not None and not start.folder.is_dir():
            start = None  # found on this machine by its name
        result = attempt(_train, replace(training, device=choose_device(device), start=start))
    connection.send(result if isinstance(result, MedsegError) else None)


def _train(run: TrainingRun) -> None:
    from medseg.io.files.lock import exclusive
    from medseg.training.train import train_model

    with exclusive(run.out, "train", wait=SECONDS_FOR_LOCK):
        pass  # of a run whose machine or node was lost, the process may live for some seconds more
    train_model(run)


if __name__ == "__main__":
    serve(run, one_case=False)
