"""Reads a file in a process kept for that, so that a crash of a library in C ends that process and not the caller's.

What `each_isolated` is for many inputs, this is for one at a time, wherever in a verb it is read. The process is
started when it is first needed, serves one call after another, and ends when it was idle for a while. In a process
whose end costs no more than one case, as a worker's does, the file is read right there.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from functools import partial, wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from medseg.errors import MedsegError, UnforeseenError
from medseg.isolation import child
from medseg.isolation.process import POSSIBLE, ChildProcess, Guard, Why

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
MODULE = "medseg.isolation.apart_worker"


def apart(
    function: Callable[Concatenate[Path, Arguments], Result],
) -> Callable[Concatenate[Path, Arguments], Result]:
    """Decorate a function of a module that reads a file in which a library in C may crash.

    What it takes and returns must be what can be pickled. Where the process crashed, an `InputError` names the file.
    """

    @wraps(function)
    def call(path: Path, /, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if child.costs_one_case() or not POSSIBLE:
            return function(path, *arguments, **options)
        # A process that was forked from another one has not inherited its helper.
        helper = _helpers.setdefault(os.getpid(), _Helper())
        # There, this decorated function, by whose name it is found, calls the inner one.
        task = partial(_in_folder, _here(), partial(call, path, *arguments, **options))
        return cast(Result, helper.call(task, path, f"{function.__module__}.{function.__qualname__}"))

    return call


def _here() -> Path | None:
    """The folder that relative paths are in now; none where it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _in_folder(folder: Path | None, function: Callable[[], Result]) -> Result:
    """Call a function where the caller is: by its relative path, another file may lie where the helper was started."""
    if folder is not None:
        os.chdir(folder)
    return function()


class _Helper:
    """The process, if there is one now; one call at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.child: ChildProcess | None = None

    def call(self, function: Callable[[], object], where: Path, work: str) -> object:
        with self.lock:
            try:
                result, why, code = self._ask(function, work)
                if why and code == 0:  # it was just ending by itself, because nobody had asked it anything
                    result, why, _ = self._ask(function, work)
            except BaseException as error:  # by a signal, in the middle of it
                self._close(type(error))
                raise
        if why is not None:
            raise UnforeseenError(why[0], where=where, fix=why[1])
        if isinstance(result, MedsegError):
            raise result
        return result

    def _ask(self, function: Callable[[], object], work: str) -> tuple[object, Why | None, int | None]:
        """Return the answer; or why there is none, and the exit code of the process."""
        if self.child is not None and self.child.process.poll() is not None:
            self._close(None)
        if self.child is None:
            self.child = ChildProcess(MODULE)
            self.child.__enter__()
        self.child.work = work
        self.child.send(function)
        message, why = self.child.next_message(Guard().bytes(), None)
        try:
            if message is not None:
                return receive(self.child.connection, *message), None, None
        except (EOFError, OSError):
            why = self.child.why_it_died()
        code = self.child.process.wait()
        self._close(None)
        return None, why, code

    def _close(self, kind: type[BaseException] | None) -> None:
        ended, self.child = self.child, None
        if ended is not None:
            ended.__exit__(kind)


_helpers: dict[int, _Helper] = {}


def send(connection: Connection[Any, Any], result: object) -> None:
    """Send an answer, whose arrays are not copied for it."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    raw = [buffer.raw() for buffer in buffers]
    connection.send((content, [part.nbytes for part in raw]))
    for part in raw:
        if part.nbytes:
            connection.send_bytes(part)


def receive(connection: Connection[Any, Any], content: bytes, sizes: list[int]) -> object:
    """Take the arrays of an answer into memory of their own, and put it together."""
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        if buffer:
            connection.recv_bytes_into(buffer)
    return pickle.loads(content, buffers=buffers)  # noqa: S301 - from our own process
