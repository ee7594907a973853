"""The command line run in this process, as a user would run it in one of its own: what it prints, and its exit code."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

LOGS = ("medseg", "pydicom")


@contextmanager
def log_restored() -> Iterator[None]:
    """Take back what the command line makes of the log: its level, and the streams it writes to."""
    logs = [logging.getLogger(name) for name in LOGS]
    before = [(log.level, log.handlers[:], log.propagate) for log in logs]
    try:
        yield
    finally:
        for log, (level, handlers, propagate) in zip(logs, before, strict=True):
            log.setLevel(level)
            log.handlers[:] = handlers
            log.propagate = propagate


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a verb; also what its child processes print is caught.

    It spares the start of a process and its imports, a second or two. What a process itself does (signals, streams that
    are closed, memory) needs one of its own.
    """
    from medseg.cli.app import run

    words = [str(argument) for argument in arguments]
    with ExitStack() as stack:
        stack.enter_context(log_restored())
        caught = [stack.enter_context(_caught(name)) for name in ("stdout", "stderr")]
        try:
            code = run(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        texts = []
        for stream in caught:
            stream.flush()
            stream.seek(0)
            texts.append(stream.read())
    return subprocess.CompletedProcess(["medseg", *words], code, *texts)


@contextmanager
def _caught(name: str) -> Iterator[IO[str]]:
    """Send a standard stream to a file, for this process and those it starts."""
    before, number = getattr(sys, name), {"stdout": 1, "stderr": 2}[name]
    before.flush()
    kept = os.dup(number)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), number)
        setattr(sys, name, stream)
        try:
            yield stream
        finally:
            setattr(sys, name, before)
            os.dup2(kept, number)
            os.close(kept)
