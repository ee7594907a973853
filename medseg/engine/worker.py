"""The process in which cases run; started by `medseg.engine.isolation`, never manually."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Client

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the cases sent over the connection and send back each as it starts and ends."""
    parent, address, key, level = (sys.stdin.readline().strip() for _ in range(4))
    _die_with(int(parent))
    _start_log(int(level))
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Client(address, authkey=bytes.fromhex(key)) as connection:
        from medseg.engine.case_run import run_cases
        from medseg.errors import MedsegError
        from medseg.log_file import log_file

        one_at_a_time = threading.Lock()  # a connection mixes up what two threads send at once

        def send(message: object) -> None:
            with one_at_a_time:
                connection.send(message)

        work, cases, alone = connection.recv()
        with log_file(work.out):
            try:
                for message in run_cases(work, cases, send, send, alone):
                    send(message)
            except MedsegError as error:  # of no case: the whole run ends by it
                send(error)


def _die_with(parent: int) -> None:
    """End this process when its parent does, however that ends, so that it does not write beside the next run."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start_log(level: int) -> None:
    """Log to standard error as the parent does; when it debugs, crashes say where they happened."""
    log = logging.getLogger("medseg")
    log.addHandler(logging.StreamHandler(sys.stderr))
    log.setLevel(level)
    if level <= logging.DEBUG:
        faulthandler.enable()


if __name__ == "__main__":
    try:
        main()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
