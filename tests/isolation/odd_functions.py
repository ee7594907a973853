"""Functions that end in every way one can, for processes that import them."""

import builtins
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from medseg.errors import Interrupted, MedsegError
from medseg.isolation.apart import apart

# What can be raised by its name: all built-in exceptions, and one that is no `Exception`, as panics of Rust are.
STOPS = {"KeyboardInterrupt"}
EXCEPTIONS = sorted(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException) and name not in STOPS
)


class PanicException(BaseException):
    """As pyo3 names it."""


def error(name: str) -> BaseException:
    """An exception by its name."""
    if name == "PanicException":
        return PanicException("Doe^Jane")
    if name == "MedsegError":
        return MedsegError("a reason", fix="A fix.")
    if name in ("BaseExceptionGroup", "ExceptionGroup"):
        return ExceptionGroup("Doe^Jane", [ValueError("Doe^Jane")])
    if name.startswith("Unicode") and name.endswith(("DecodeError", "EncodeError", "TranslateError")):
        return {
            "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"Doe^Jane", 0, 1, "x"),
            "UnicodeEncodeError": UnicodeEncodeError("ascii", "Doe^Jane", 0, 1, "x"),
            "UnicodeTranslateError": UnicodeTranslateError("Doe^Jane", 0, 1, "x"),
        }[name]
    return getattr(builtins, name)("Doe^Jane")


EVERY = [*EXCEPTIONS, "PanicException"]


def act(how: str) -> str:
    """Do what is asked for: raise an exception, crash, hang, hoard, return what cannot be pickled, or answer."""
    acts: dict[str, Callable[[], object]] = {
        "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "exit": lambda: os._exit(7),
        "hang": lambda: time.sleep(60),
        "shout": lambda: os.write(2, b"noise of a library\n") and os.write(1, b"noise of a library\n"),
        "warn": lambda: warnings.warn("noise of numpy", stacklevel=1),
        "configure": logging.basicConfig,
        "log": lambda: logging.getLogger("medseg").warning("a word of its own"),
        "print": lambda: sys.stdout.write("noise\n"),
    }
    if how in acts:
        acts[how]()
    elif how == "hoard":
        hoard = bytearray(1 << 30)
        hoard[:: 1 << 12] = b"x" * (1 << 18)
        time.sleep(60)
    elif how == "unpicklable":
        return lambda: None  # type: ignore[return-value]
    elif how != "fine":
        raise error(how)
    return f"did {how} in {os.getpid()}"


def stop() -> None:
    """Raise what a signal raises."""
    raise Interrupted("SIGTERM")


@apart
def read(path: Path, how: str) -> object:
    """Return an array of a file or the folder it is in, or do what is asked for."""
    if how == "folder":
        return str(path.resolve().parent)
    return np.arange(12).reshape(3, 4) if how == "array" else act(how)
