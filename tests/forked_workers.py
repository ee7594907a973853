"""Workers of medseg forked from a process that has imported what they need, which takes longer than most of their work.

A fork is a child of the tests' own process, as one that was started is: it is waited for, measured and killed alike.
What it does not show, that a worker imports all it needs, tests with the mark `starts_workers` do, and every run that
counts lines.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.isolation import process

# What reads, measures and draws; then what computes networks.
IMPORTED = (
    "imagecodecs", "SimpleITK", "highdicom", "skimage.measure", "torch", "openvino", "medseg.review.inspect",
    "medseg.io.convert", "medseg.evaluation.evaluate", "medseg.data.examine_all", "medseg.engine.case_run",
    "medseg.isolation.child",
)  # fmt: skip
STARTED_FIRST = 2  # workers that are started, before it pays to import all that once
SUBREAPER = 36  # of prctl(2)
LARGEST = 1 << 20  # bytes of a request


class Forked(subprocess.Popen[bytes]):
    """A child process that this one did not start itself."""

    def __init__(self, pid: int, arguments: Sequence[str]) -> None:
        self.pid, self.args = pid, list(arguments)
        self.returncode: int | None = None
        self.stdin = self.stdout = self.stderr = None
        self._child_created, self._sigint_wait_secs = True, 0.25
        self._waitpid_lock = threading.Lock()


class Forker:
    """Starts workers: the first ones as medseg does, the others by asking one process to fork."""

    def __init__(self) -> None:
        self.is_on = True
        self._started = process.start_module
        self._count = 0
        self._control: socket.socket | None = None
        self._lock = threading.Lock()

    def start_module(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], descriptor: int
    ) -> subprocess.Popen[bytes]:
        """What takes the place of `medseg.isolation.process.start_module`."""
        with self._lock:
            self._count += self.is_on
            if not self.is_on or self._count <= STARTED_FIRST:
                return self._started(module, arguments, environment, descriptor)
            return self._fork(module, arguments, environment, descriptor)

    def _fork(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], descriptor: int
    ) -> subprocess.Popen[bytes]:
        umask = os.umask(0)
        os.umask(umask)
        request = {
            "module": module, "arguments": list(arguments), "environment": dict(environment), "folder": str(Path.cwd()),
            "umask": umask, "parent": os.getpid(), "descriptor": descriptor,
        }  # fmt: skip
        control = self._process()
        _prctl(SUBREAPER, 1)  # the process between ends at once, and leaves its child to this one
        try:
            socket.send_fds(control, [json.dumps(request).encode()], [descriptor, 2])
            pid = int(control.recv(100))
        except BaseException:  # a signal, say: the answer to this request is not to be taken for that to the next
            self._control = None
            control.close()
            raise
        finally:
            _prctl(SUBREAPER, 0)
        return Forked(pid, [module, *arguments])

    def _process(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            path = os.pathsep.join(entry for entry in sys.path if entry)
            with theirs:
                subprocess.Popen(
                    [sys.executable, __file__, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, **threads, "PYTHONPATH": path},
                )
        return self._control


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def next_fork(control: socket.socket) -> dict[str, object]:
    """Fork for every request; return in each fork, as a child of the process that asked, with the request."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST, 2)
        if not message:
            os._exit(0)
        request = json.loads(message)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child:
                os.write(writer, str(child).encode())
                os._exit(0)
            control.close()
            os.close(reader)
            os.close(writer)
            _settle(request, descriptors)
            return request
        os.waitpid(between, 0)
        control.send(os.read(reader, 100))
        for descriptor in (reader, writer, *descriptors):
            os.close(descriptor)


def _settle(request: dict[str, object], descriptors: Sequence[int]) -> None:
    """Take over streams, folder, environment and path of the process that asked."""
    while os.getppid() != request["parent"]:
        time.sleep(0.001)
    connection, errors = descriptors
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (errors, 1), (errors, 2)):
        os.dup2(source, target)
    os.close(errors)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    os.umask(request["umask"])
    path = os.environ["PYTHONPATH"].split(os.pathsep)
    sys.path[:] = path + [entry for entry in sys.path if entry not in path]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = [str(connection) if word == str(request["descriptor"]) else word for word in request["arguments"]]
    sys.argv[:] = [str(request["module"]), *words]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    request = next_fork(socket.socket(fileno=int(sys.argv[1])))
    code: object = 0
    try:
        runpy.run_module(str(request["module"]), run_name="__main__", alter_sys=False)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # taking thousands of modules apart takes long


if __name__ == "__main__":
    main()
