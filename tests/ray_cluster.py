"""A Ray cluster of three raylets on this machine, started as docs/how-to/cluster-ray.md says."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from page_commands import page_block

HERE = Path(__file__).parent


@dataclass
class Raylets:
    """A cluster: its address, the environment to reach it in, and its machines' processes."""

    address: str
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]]

    def kill_one(self) -> None:
        """Kill the last machine's raylet, as a power cut would."""
        for child in psutil.Process(self.processes[-1].pid).children(recursive=True):
            child.kill()

    def kill_own(self, *, with_head: bool) -> None:
        """Kill the raylet that a run on this machine is connected to, which is the head's.

        What started it then ends the rest of the head, too, where it is not held up.
        """
        starter = psutil.Process(self.processes[0].pid)
        if not with_head:
            starter.suspend()
        for child in starter.children(recursive=True):
            if child.name() == "raylet":
                child.kill()


@contextmanager
def three_raylets() -> Iterator[Raylets]:
    """Start three machines of one CPU each, all on this one, with a head; skips where Ray is not installed."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed (pip install 'medseg[ray]')")
    place = Path("/tmp") / f"ray-{secrets.token_hex(4)}"  # its sockets must have short paths
    place.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    export, head, join = page_block("docs/how-to/cluster-ray.md", "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=...")
    secret = export.with_names({"...": secrets.token_hex(32)})
    environment = {
        **os.environ,
        **dict(word.split("=", 1) for word in secret.words[1:]),
        "PYTHONPATH": os.pathsep.join([str(HERE / "engine"), str(HERE.parent)]),
        "RAY_health_check_period_ms": "500",
    }
    common = ["--block", "--num-cpus=1", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1"]
    starts = [[*head.with_names({"6379": port}).words, f"--temp-dir={place}", "--include-dashboard=false"]]
    starts += [join.with_names({"10.0.0.5:6379": f"127.0.0.1:{port}"}).words] * 2
    processes = []
    try:
        for number, start in enumerate(starts):
            with (place / f"start{number}.log").open("wb") as log:
                command = [str(Path(sys.executable).parent / start[0]), *start[1:], *common]
                processes.append(subprocess.Popen(command, env=environment, cwd=place, stdout=log, stderr=log))
            wait_for(place / f"start{number}.log", "Ray runtime started")
        yield Raylets(f"127.0.0.1:{port}", environment, processes)
    finally:
        started = [child for one in processes if one.poll() is None for child in psutil.Process(one.pid).children(True)]
        for one in reversed(processes):
            one.terminate()
            one.send_signal(signal.SIGCONT)
        for one in processes:
            try:
                one.wait(30 if processes[0].poll() is None else 5)
            except subprocess.TimeoutExpired:  # without a head it tries for minutes
                one.kill()
        for child in started:
            if child.is_running():
                child.kill()


def wait_for(log: Path, text: str) -> None:
    for _ in range(600):
        if text in log.read_text(errors="replace"):
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace"))
