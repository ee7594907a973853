"""Child processes: a module of medseg in an interpreter of its own, which ends when its parent does.

They are ordinary subprocesses and no `multiprocessing` children, because the latter run the caller's script a second
time.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import psutil

PR_SET_PDEATHSIG = 1
STDERR = 2
# A child inherits its end of a pipe by its number, which only POSIX does.
POSSIBLE = os.name == "posix"


class Child:
    """A running module, and the connection to it; what they send each other are medseg's own types."""

    def __init__(self, module: str) -> None:
        self.connection, theirs = Pipe()
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry))
        # Several children share the cores already.
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            # The caller's standard output carries data; whatever a library prints in here must not reach it.
            stdout=STDERR,
            pass_fds=[theirs.fileno()],
            env=environment,
        )
        theirs.close()

    def memory(self) -> int:
        """Bytes it holds; 0 when it has ended."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self.connection.close()


def parent_connection() -> Connection:
    """Return the connection to the parent, in a module that `Child` started, which ends with its parent from now on."""
    number, parent = int(sys.argv[1]), int(sys.argv[2])
    _end_with(parent)
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = logging.getLogger("medseg")
    log.addHandler(logging.StreamHandler(sys.stderr))
    log.setLevel(logging.WARNING)
    return Connection(number)


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
