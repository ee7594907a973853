"""What a child process does first: it talks to its parent, logs as that does, and never outlives it."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from medseg.errors import Interrupted
from medseg.signals import known_signals

PR_SET_PDEATHSIG = 1


_ends_alone = False


def costs_one_case() -> bool:
    """Whether the end of this process costs its parent no more than the case in hand."""
    return _ends_alone


def serve(
    work: Callable[[Connection[Any, Any]], None], *, one_case: bool = True, outlives_thread: bool = False
) -> None:
    """Do a child's work over the connection to its parent, and end in silence when the parent closes it or says so.

    - `one_case`: whether a crash costs one case, and not all that this process does.
    - `outlives_thread`: whether the child stays when the thread of the parent that started it has ended.
    """
    global _ends_alone
    _ends_alone = one_case
    try:
        with _connected(outlives_thread, one_case) as connection:
            work(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
    except Interrupted:
        sys.exit(Interrupted.exit_code)


def _connected(outlives_thread: bool, one_case: bool) -> Connection[Any, Any]:
    """Make this process a child of the one that started it, and return the connection to it."""
    parent, descriptor, level = map(int, sys.argv[1:4])
    die_with(parent, outlives_thread)
    if one_case and level > logging.DEBUG:
        _hush()
    _start_log(level)
    # Ctrl-C and the end of a terminal reach the whole process group; the parent decides what they mean.
    for number in known_signals("SIGINT", "SIGHUP"):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    return Connection(descriptor)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Unwind, so that files half-written are deleted."""
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def die_with(parent: int, outlives_thread: bool = False) -> None:
    """End this process when its parent does, however that ends, so that it does not write beside the next run."""
    if sys.platform == "linux" and not outlives_thread:  # Linux takes the parent to be the thread
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _hush() -> None:
    """Let what libraries in C print, and warnings of Python's own, reach nobody; the log keeps its way out."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _start_log(level: int) -> None:
    """Log to standard error as the parent does; when it debugs, crashes say where they happened."""
    log = logging.getLogger("medseg")
    log.addHandler(logging.StreamHandler(sys.stderr))
    log.setLevel(level)
    log.propagate = False  # some library gives the root logger a handler of its own
    if level <= logging.DEBUG:
        faulthandler.enable()
