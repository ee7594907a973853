"""Processes of medseg forked from one that has imported what they need, which takes longer than most of their work.

Its workers are, and commands that tests start by `subprocess`; what such a command starts itself is forked as well. A
fork is a child of the process that asked, as one that was started is: it is waited for, measured and killed alike.
What it does not show, that a process imports all it needs and how it starts, tests with the mark `starts_workers` do,
and every run that counts lines.
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
from typing import Any

from medseg.isolation import process

# What reads, measures and draws; then what computes networks; then what commands need besides.
IMPORTED = (
    "imagecodecs", "SimpleITK", "highdicom", "skimage.measure", "torch", "openvino", "medseg.review.inspect",
    "medseg.io.convert", "medseg.evaluation.evaluate", "medseg.data.examine_all", "medseg.engine.case_run",
    "medseg.isolation.child", "medseg.cli.command", "medseg.review.server.app", "uvicorn", "medseg.training.run",
    "pynetdicom",
)  # fmt: skip
COMMANDS = ("medseg", "stopped_training")  # modules that `python -m` starts
# Those that are started, before it pays to import all that once; in one of several processes of pytest it always does.
STARTED_FIRST = 0 if "PYTEST_XDIST_WORKER" in os.environ else 2
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

    def __init__(self, control: socket.socket | None = None) -> None:
        self.is_on = True
        self._started = process.start_module
        self._execute = subprocess.Popen._execute_child
        self._count = 0 if control is None else STARTED_FIRST
        self._control = control
        self._lock = threading.Lock()

    def start_module(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], descriptor: int
    ) -> subprocess.Popen[bytes]:
        """What takes the place of `medseg.isolation.process.start_module`."""
        if not self._forks():
            return self._started(module, arguments, environment, descriptor)
        with Path(os.devnull).open("rb") as nothing:
            streams = (nothing.fileno(), 2, 2, descriptor)
            words = [str(word) for word in arguments]
            return Forked(self._fork(module, words, environment, str(Path.cwd()), streams), [module, *words])

    def execute_child(self, popen: subprocess.Popen[Any], args: Any, *how: Any) -> None:
        """What takes the place of `subprocess.Popen._execute_child`: it starts a command, or has it forked."""
        _executable, prepare, _close, passed, folder, environment, _startup, _flags, shell, *streams = how
        words = [] if shell or isinstance(args, str | bytes | os.PathLike) else [os.fspath(word) for word in args]
        plain = prepare is None and not passed and tuple(streams[6:]) == (True, None, None, None, -1, False, -1)
        environment = os.environ if environment is None else environment
        command = _command(words) if plain and not _is_for_python(environment) else None
        if command is None or not self._forks():
            self._execute(popen, args, *how)
            return
        given, _, _, printed, _, errors = streams[:6]
        descriptors = [own if one == -1 else one for own, one in enumerate((given, printed, errors))]
        popen.pid = self._fork(*command, environment, os.fspath(folder or Path.cwd()), descriptors)
        popen._child_created = True
        popen._close_pipe_fds(*streams[:6])

    def _forks(self) -> bool:
        with self._lock:
            self._count += self.is_on
            return self.is_on and self._count > STARTED_FIRST

    def _fork(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: str,
        descriptors: Sequence[int],
    ) -> int:
        umask = os.umask(0)
        os.umask(umask)
        request = {
            "module": module, "arguments": list(arguments), "environment": dict(environment), "folder": folder,
            "umask": umask, "parent": os.getpid(), "descriptor": descriptors[3] if len(descriptors) > 3 else None,
        }  # fmt: skip
        with self._lock:
            control = self._process()
            _prctl(SUBREAPER, 1)  # the process between ends at once, and leaves its child to this one
            try:
                socket.send_fds(control, [json.dumps(request).encode()], descriptors)
                return int(control.recv(100))
            except BaseException:  # a signal, say: the answer to this request is not to be taken for that to the next
                self._control = None
                control.close()
                raise
            finally:
                _prctl(SUBREAPER, 0)

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


def _is_for_python(environment: Mapping[str, str]) -> bool:
    """Whether an environment tells Python itself, when it starts, what this one's does not."""
    told = {name for name in environment if name.startswith("PYTHON") and name != "PYTHONPATH"}
    return any(environment[name] != os.environ.get(name) for name in told)


def _command(words: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the module that a command line runs and its arguments, where it is one to fork."""
    if words[:1] == [str(Path(sys.executable).with_name("medseg"))]:
        return "medseg", list(words[1:])
    if words[:2] == [sys.executable, "-m"] and words[2:3] and words[2] in COMMANDS:
        return words[2], list(words[3:])
    return None


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def next_fork(control: socket.socket) -> dict[str, Any]:
    """Fork for every request; return in each fork, as a child of the process that asked, with the request."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST, 4)
        if not message:
            os._exit(0)
        request = json.loads(message)
        reader, writer = os.pipe()
        if (between := os.fork()) == 0:
            between = os.getpid()
            child = os.fork()
            if child:
                os.write(writer, str(child).encode())
                os._exit(0)
            control.close()
            os.close(reader)
            os.close(writer)
            _settle(request, descriptors, between)
            return dict(request)
        os.waitpid(between, 0)
        control.send(os.read(reader, 100))
        for descriptor in (reader, writer, *descriptors):
            os.close(descriptor)


def _settle(request: Mapping[str, Any], descriptors: Sequence[int], between: int) -> None:
    """Take over streams, folder, environment and path of the process that asked, unless a signal ended it meanwhile."""
    while os.getppid() == between:
        time.sleep(0.001)
    if os.getppid() != request["parent"]:
        os._exit(1)  # nobody waits for this process, and who reads its standard error would wait for ever
    streams, passed = descriptors[:3], descriptors[3:]
    for target, source in enumerate(streams):
        os.dup2(source, target)
    for source in streams:
        os.close(source)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    os.umask(request["umask"])
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = path + [entry for entry in sys.path if entry not in path]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    named = {str(request["descriptor"]): str(descriptor) for descriptor in passed}
    sys.argv[:] = [str(request["module"]), *(named.get(word, word) for word in request["arguments"])]


def _with_forks(request: dict[str, Any]) -> dict[str, Any]:
    """Leave a process behind, before this one does anything, that forks its workers; return in each of them too."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.close(nothing)
        return next_fork(theirs)
    theirs.close()
    process.start_module = Forker(ours).start_module
    return request


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    request = next_fork(socket.socket(fileno=int(sys.argv[1])))
    if request["module"] in COMMANDS:
        request = _with_forks(request)
    code: object = 0
    try:
        runpy.run_module(str(request["module"]), run_name="__main__", alter_sys=False)
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # taking thousands of modules apart takes long


if __name__ == "__main__":
    main()
