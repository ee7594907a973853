"""A process of one's own to work in, watched: how it ends, its memory and its time.

It is an ordinary subprocess and no `multiprocessing` child, because the latter runs the caller's script a second time.
The two talk over a socket pair that the child inherits: it needs no address, whose length is limited, and it is closed
when the child dies, at whatever moment. What they send each other are medseg's own types.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import psutil

from medseg.errors import ResourceLimit, UsageError
from medseg.log_file import console_level
from medseg.signals import known_signals

log = logging.getLogger("medseg.isolation")

LOOK_EVERY = 0.2
STDERR = 2
# A child inherits its end of a pipe by its number, which only POSIX does.
POSSIBLE = os.name == "posix"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TOO_LONG = ("it took longer than one case may", "Allow more with --max-seconds.")
Why = tuple[str, str]  # what happened, and what to do about it


@dataclass(frozen=True)
class Guard:
    """What one case may use: GiB of resident memory, else 9/10 of what is free at the start; seconds of wall time."""

    memory: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, limit in (("memory", self.memory), ("seconds", self.seconds)):
            if limit is not None and not limit > 0:
                raise UsageError(f"--max-{name} {limit:g}: must be more than 0", fix="Omit it to set no limit.")

    def bytes(self) -> float:
        """Return the bytes one case may use, as much as is free now where no limit was set."""
        return self.memory * 2**30 if self.memory else 0.9 * psutil.virtual_memory().available


def start_module(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], descriptor: int
) -> subprocess.Popen[bytes]:
    """Start a module in a process that inherits one descriptor; raises `ResourceLimit` where there can be none."""
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            # The caller's standard output carries data; whatever a library prints in here must not reach it.
            stdout=STDERR,
            env=environment,
            pass_fds=[descriptor],
        )
    except OSError as error:
        raise ResourceLimit(
            f"no process can be started ({error.strerror})", fix="End other programs, or allow more processes."
        ) from error


class ChildProcess:
    """A process that runs a module of medseg, for as long as the context lasts; it has not answered until it has."""

    def __init__(self, module: str, *, one_thread: bool = False) -> None:
        self.module, self.one_thread = module, one_thread
        self.work = module  # what it does, by which a crash gets its report number
        self.connection: Connection[Any, Any]

    def __enter__(self) -> ChildProcess:
        # In between lie messages for a log without a progress bar in it.
        level = logging.DEBUG if console_level() <= logging.DEBUG else logging.WARNING
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(entry for entry in sys.path if entry))
        if self.one_thread:
            environment |= dict.fromkeys(THREADS, "1")
        ours, theirs = multiprocessing.Pipe()
        self.connection = ours  # type: ignore[assignment,unused-ignore]
        with theirs:  # ours alone stays open here, so that the child's end is closed when the child dies
            arguments = [str(os.getpid()), str(theirs.fileno()), str(level)]
            self.process = start_module(self.module, arguments, environment, theirs.fileno())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.connection.close()
        if kind is not None:
            self.process.terminate()  # it deletes what it has half-written
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def send(self, message: object) -> None:
        """Send something; where the child is dead, `next_message` says so."""
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return

    def next_message(self, limit: float, deadline: float | None) -> tuple[Any, Why]:
        """Wait for the next message; None and the reason when the process died or had to be stopped."""
        while True:
            try:
                if self.connection.poll(LOOK_EVERY):
                    return self.connection.recv(), ("", "")
            except (EOFError, OSError):
                return None, self.why_it_died()
            if (why := self.over_limit(limit, deadline)) is not None:
                return None, why

    def over_limit(self, limit: float, deadline: float | None) -> Why | None:
        """Stop the process where it uses more memory or time than it may, and return the reason."""
        if deadline is not None and time.monotonic() > deadline:
            self.process.kill()
            return TOO_LONG
        if self._memory() > limit:
            self.process.kill()
            what = f"it needed more than the {limit / 2**30:.1f} GiB of memory one case may have"
            return what, "Allow more with --max-memory, or use a machine with more memory."
        return None

    def _memory(self) -> float:
        try:
            return float(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0.0

    def why_it_died(self) -> Why:
        """Wait for the end of a process that closed its connection, and say what ended it."""
        code = self.process.wait()
        if -code in known_signals("SIGKILL"):
            return (
                "the system killed it, most likely because memory ran out",
                "Use a machine with more memory.",
            )
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        number = hashlib.sha256(f"{self.work} {how}".encode()).hexdigest()[:8]
        log.debug("report %s: %s ended with %s", number, self.work, how)
        return (
            f"the program crashed on it ({how}, report {number})",
            "Check the file in another program, and report the number.",
        )
